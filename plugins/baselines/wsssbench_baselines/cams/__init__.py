"""Published ways to infer the CAMs of a trained classifier."""

"""Published ways to make pseudo-labels of CAMs."""

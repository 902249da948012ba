"""Published refinements of CAMs."""

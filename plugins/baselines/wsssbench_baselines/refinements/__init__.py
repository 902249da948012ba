"""Published refinements of CAMs, one file each."""

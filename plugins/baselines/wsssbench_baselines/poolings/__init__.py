"""Published poolings, one file each."""

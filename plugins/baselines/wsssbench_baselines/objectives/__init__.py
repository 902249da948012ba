"""Training objectives beside the classification loss, one file per method."""

"""Published losses of segmentation networks that learn from pseudo-labels."""

"""A folder of images with a file of labels, as a data set."""

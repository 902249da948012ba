"""Methods that consist of several kinds of components, one file each."""

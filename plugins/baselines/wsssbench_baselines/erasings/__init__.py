"""Erasing methods of the literature, one file each."""

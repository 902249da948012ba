"""Labellings of the core: what a stage made of a photo becomes its label map."""

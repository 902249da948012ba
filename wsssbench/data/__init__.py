"""Data sets, image and artefact files, and the guard around pixel ground truth."""

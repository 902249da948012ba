"""Backbones, the classifier, CAM inference and weight loading."""

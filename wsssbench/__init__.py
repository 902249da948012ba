"""wsssbench: weakly supervised semantic segmentation from image-level labels; methods are plugins."""

__version__ = "0.1.0"

"""Segmenters; the only room that imports mmsegmentation."""

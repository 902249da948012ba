"""Pure WSSS maths on tensors and arrays: no I/O, no config, no global state."""

IGNORE = 255  # the label-map value of a pixel that is not counted
MAX_CLASSES = 254  # label maps are uint8: 0 is the background, 255 is ignored

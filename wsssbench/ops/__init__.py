"""Pure functions on tensors and arrays: no I/O, no config, no global state."""

"""The core's own plugins: they use the same entry points as everybody else's."""

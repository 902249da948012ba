"""Data sets, each in a folder of its own, and the check of one."""

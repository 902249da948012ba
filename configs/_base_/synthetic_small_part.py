"""The small scale where parts are all that tells: CAMs under-activate (high precision, low recall).

Bodies are shared by all classes, so they say nothing, and grounds hardly anything: what is left is the badge.
"""

_base_ = ["synthetic_small.py"]
data = dict(classes_per_body=8, context_probability=0.5, context_leak=0.1)

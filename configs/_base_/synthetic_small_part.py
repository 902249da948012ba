"""The small scale where parts tell best: CAMs under-activate (high precision, low recall).

Two classes share a body, so it tells neither for certain; the badge does. Grounds come often, but not always.
"""

_base_ = ["synthetic_small.py"]
data = dict(part_size=0.1, classes_per_body=2, context_probability=0.9, context_leak=0.03)

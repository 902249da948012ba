"""The small scale where context tells as much as the object: CAMs over-activate (recall above precision).

Every class has a body of its own with hardly any badge, and a large ground of its own that always comes along.
"""

_base_ = ["synthetic_small.py"]
data = dict(
    part_size=0.02,
    classes_per_body=1,
    context_probability=1.0,
    context_leak=0.0,
    context_size=(3.0, 5.0),
)

"""RIB (NeurIPS 2021) at the small scale, where CAMs under-activate: the weights are tuned to each photo.

The classifier is that of gap_part, from the cache if it is there. It was trained from random weights, at another rate,
so rate and stop are ours.
"""

_base_ = ["../gap_part.py"]
name = "rib_synthetic"
cam = dict(
    _delete_=True,
    type="RIB",
    photos="train",
    others=6,
    lr=1e-4,
    new_layers_lr=1.0,  # everything started from random weights
    stop=100.0,
    scales=(1.0,),
    resize_long=(112, 144),
    crop=112,
    multiple=8,
)

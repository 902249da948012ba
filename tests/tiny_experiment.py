"""A config that runs every stage up to the pseudo-labels in seconds."""

from __future__ import annotations

from typing import Any

TINY: dict[str, Any] = {
    "name": "tiny",
    "seed": 0,
    "data": {"type": "SyntheticScenes", "train_images": 6, "val_images": 3, "image_size": 64},
    "classifier": {
        "backbone": {"type": "EfficientNetLite0", "weights": "imagenet", "output_stride": 16},
        "pooling": {"type": "GPP", "bins": (2,)},
        "erasing": [],
        "transform": {"crop": 64, "jitter": (0.0, 0.0, 0.0, 0.0)},
        "schedule": {"batch_size": 3, "epochs": 1, "lr": 0.01},
    },
    "cam": {"type": "MultiScaleCAM", "scales": (1.0,), "flip": True},
    "refine": {
        "crf": {"type": "DenseCRF", "input": "cam", "preset": "psa"},
        "rw": {
            "type": "AffinityWalk",
            "input": "cam",
            "backbone": {"type": "EfficientNetLite0", "weights": "imagenet"},
            "stride": 4,
            "steps": 4,
            "crop": 64,
            "schedule": {"batch_size": 3, "epochs": 1, "lr": 0.01},
        },
    },
    "label": {"input": "rw", "confidence": 0.2},
}

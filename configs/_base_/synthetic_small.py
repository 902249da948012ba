"""The small scale: a classifier from random weights and its CAMs on generated scenes, in minutes on two CPU cores."""

_base_ = ["synthetic.py"]
data = dict(train_images=1200, objects=(1, 2), occluders=0.1)
classifier = dict(
    backbone=dict(type="SmallResNet", width=16, output_stride=8),
    transform=dict(crop=112),
    schedule=dict(
        batch_size=32,
        epochs=20,
        lr=0.05,
        weight_decay=5e-4,
        warmup_iterations=20,
        new_layers_lr=1.0,
    ),
)
cam = dict(scales=(1.0,), flip=True)

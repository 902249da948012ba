"""DeepLab-v3+ on ResNet-101: Chen et al., ECCV 2018, Section 4, which takes its training from DeepLab-v3
(arXiv:1706.05587, Section 4.1; "v3" below). TF: the authors' tensorflow/models, research/deeplab/train.py.

mmsegmentation's own config (deeplabv3plus_r101-d8_4xb4-20k_voc12aug-512x512) differs: output stride 8, crop 512, 20000
iterations at lr 0.01, weight decay 5e-4, images first fitted into 2048 x 512 and scaled by 0.5 to 2.0, SSD's colour
jitter, cat_max_ratio 0.75, an auxiliary head.

Not the same here: the backbone's running statistics follow with momentum 0.1 (v3: 0.0003). With several ranks, the
backbone normalises the images of each rank alone; the head, on GPUs, those of all.
"""

segmenter = dict(
    type="DeepLab",
    head="v3plus",  # image pooling and rates 6, 12, 18 at stride 16; decoder with 48 low-level channels
    backbone=dict(
        type="TorchvisionBackbone",
        name="resnet101",
        pretrained=True,  # ImageNet
        output_stride=16,  # ECCV 2018, Section 4
        frozen_norm=False,  # ECCV 2018, Section 4: batch normalisation is fine-tuned at stride 16
    ),
    channels=256,  # v3, Section 3.3
    dropout=0.1,  # mmsegmentation
    norm_momentum=3e-4,  # v3, Section 4.1: decay 0.9997
    crop=513,  # ECCV 2018, Section 4
    resize=(0.5, 2.0),  # v3, Section 4.1
    resize_step=0.25,  # TF
    photometric=False,
    cat_max_ratio=1.0,
    schedule=dict(
        batch_size=16,  # v3, Section 4.1
        iterations=30000,  # v3, Section 4.1
        lr=0.007,  # ECCV 2018, Section 4
        new_layers_lr=1.0,  # TF: last_layer_gradient_multiplier
        momentum=0.9,  # TF
        weight_decay=1e-4,  # TF: for ResNet
        power=0.9,  # v3, Section 4.1
    ),
    # v3's multi-scale test (scales not verified here); neither paper uses a CRF
    test=dict(scales=(0.5, 0.75, 1.0, 1.25, 1.5, 1.75), flip=True),
)

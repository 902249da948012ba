"""Your own photos: a folder of images, a file of image-level labels, masks if there are any. Copy this file; change it.

    my_photos/
      images/       0001.jpg, garden/0002.png   any names, also in sub-folders (.jpg, .jpeg, .png)
      labels.csv    id,labels,split             one line an image: 0001,daisy;tulip,train
      masks/        0001.png, garden/0002.png   of splits that are to be scored: 0 background, 1 the first class, 2 the
                                                second, ..., 255 not counted

    wsssbench data check configs/own_data.py --set data.root=my_photos        # reads all of it, names every problem
    wsssbench run configs/own_data.py --set data.root=my_photos --smoke       # all stages on 8 images, in minutes
    wsssbench run configs/own_data.py --set data.root=my_photos --limit 100   # the first 100 images of each split
    wsssbench run configs/own_data.py --set data.root=my_photos               # all of it

It needs no download and runs on two CPU cores: EfficientNet-Lite0, whose ImageNet weights come with the installation.
With a GPU, take a larger network, e.g. --set "classifier.backbone=TorchvisionBackbone(name='resnet50')", and crops.
"""

name = "own_data"  # names the folder of the results: work/runs/own_data/
seed = 0  # of everything random; `--seeds 0,1,2` runs three of them

data = dict(
    type="FolderDataset",
    root="my_photos",  # what the paths below are relative to
    images="images",  # with sub-folders; an image's id is its path without suffix
    labels="labels.csv",  # or a JSON; only these say what is in a training image
    masks="masks",  # None: there are none, and nothing is scored
    classes=(
        "daisy",
        "tulip",
    ),  # in the order of the label-map values 1, 2, ...; or a text file, one name a line
    splits=None,  # list files by split, dict(train="train.txt", val="val.txt"), if labels.csv has no column `split`
    empty_images=False,  # True: images without any class belong to the data set
)
# Who uses which split. Splits without masks are used, but not scored.
splits = dict(
    train="train",  # trains the classifier and, on its pseudo-labels, the segmentation network
    evaluate="train",  # CAMs and pseudo-labels are scored here, if it has masks: a split with few masks will do
    val="val",  # the segmentation network is scored here; "" if there is none
    test="",  # predicted, too
    heldout="",  # a few images with masks on which to choose the threshold: --set evaluate.selection=heldout
)

classifier = dict(
    # output_stride: pixels of the image per cell of the CAM. frozen_stages: the first layers stay as they are.
    backbone=dict(type="EfficientNetLite0", weights="imagenet", output_stride=16, frozen_stages=2),
    # Gated Pyramid Pooling. Its finest bin must not exceed the map: a crop of 256 has a map of 16 x 16.
    pooling=dict(type="GPP", bins=(2, 4, 8)),
    # The triplet of AEFT: erases what is found already and looks again. `present_only`: only the image's own classes.
    # `start`: from 40 % of the training on, when the classifier has learnt something. An empty list: plain CAMs.
    erasing=[dict(type="AEFT", present_only=True, start=0.4)],
    transform=dict(
        resize_long=(256, 384),  # the longer side becomes that many pixels, drawn anew each time
        crop=256,  # side of the square that is cut out; smaller images are padded
        flip=True,
        jitter=(0.3, 0.3, 0.3, 0.05),  # brightness, contrast, saturation, hue
        jitter_probability=0.8,
    ),
    schedule=dict(
        batch_size=16,  # over all GPUs together; less if memory is short
        epochs=15,  # passes over the training images; the fewer images, the more passes
        lr=0.01,
        momentum=0.9,
        weight_decay=1e-4,
    ),
)
# The CAMs are averaged over these sizes of the image and its mirror image.
cam = dict(type="MultiScaleCAM", scales=(0.5, 1.0), flip=True)
# Refinements by names of yours; each reads the CAMs or an earlier one.
refine = dict(
    # Dense CRF: follows the edges of the photo. alpha: the larger, the less is background.
    crf=dict(type="DenseCRF", input="cam", preset="psa", alpha=4.0),
)
# Pseudo-labels from which of them; confidence: pixels below it are ignored in training.
label = dict(input="crf", confidence=0.0)
segmenter = dict(
    type="DeepLab",
    head="v3plus",
    backbone=dict(type="EfficientNetLite0", weights="imagenet", output_stride=16),
    channels=128,  # of the head's hidden layers
    crop=256,
    resize=(0.5, 1.5),  # scale of the training images, drawn anew each time
    schedule=dict(batch_size=8, epochs=10, lr=0.01, weight_decay=5e-4),
)
# threshold: CAM above it is foreground, where nothing was refined. thresholds: from, to, step of the curve.
evaluate = dict(threshold=0.3, thresholds=(0.0, 0.6, 0.01))

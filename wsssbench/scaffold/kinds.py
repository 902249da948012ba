"""What the scaffold of each kind of component is, and how to try it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Scaffold:
    """One kind of new plugin.

    Attributes:
        summary: one line about the component that is written.
        options: of ``wsssbench run``, to try the component; ``{component}`` stands for its name.
        reference: the paper it is from, if it is from one.
        check: options of ``wsssbench plugins check``, if it needs some.
    """

    summary: str
    options: str
    reference: str = ""
    check: str = ""


SCAFFOLDS = {
    "pooling": Scaffold(
        "the mean of the highest activations",
        "--set classifier.pooling={component} --set classifier.erasing=none --until cam",
    ),
    "erasing": Scaffold(
        "random patches are hidden, what is left has to be classified as before",
        "--set classifier.erasing={component} --until cam",
        "Singh & Lee, ICCV 2017",
    ),
    "objective": Scaffold(
        "the class maps of a mirrored image have to be those of the image, mirrored",
        "--set classifier.objectives={component} --set classifier.erasing=none --until cam",
        "Wang et al., CVPR 2020",
    ),
    "augmentation": Scaffold(
        "a random square of each photo is grey",
        "--set classifier.augment={component} --set classifier.erasing=none --until cam",
        "DeVries & Taylor, 2017",
    ),
    "refinement": Scaffold(
        "a background score beside the maps, and all of them smoothed",
        "--set \"+refine.mine={component}(input='cam')\" --until mine",
    ),
    "labelling": Scaffold(
        "confident pixels of a CAM, the others are ignored",
        "--set \"label={component}(input='cam')\" --until label",
        "Ahn et al., CVPR 2019",
    ),
    "loss": Scaffold(
        "the cross-entropy, of background and classes in equal parts",
        "--set segmenter.loss={component}",
    ),
    "segmenter": Scaffold(
        "a small fully convolutional network in plain PyTorch",
        "--set segmenter={component}",
    ),
    "stage": Scaffold(
        "the CAMs of another stage, sharpened",
        "--set \"+stages.mine={component}(cams='cam')\" --until mine",
    ),
    "cam": Scaffold(
        "class activation maps of the image at one scale",
        "--set cam={component} --until cam",
        "Zhou et al., CVPR 2016",
    ),
    "dataset": Scaffold(
        "a folder per split, and in it a folder per class",
        "--set \"data={component}(root='FOLDER')\" --until cam",
        check="--set root=FOLDER",
    ),
    "backbone": Scaffold(
        "a plain network of 3 x 3 convolutions with random weights",
        "--set classifier.backbone={component} --until cam",
    ),
}

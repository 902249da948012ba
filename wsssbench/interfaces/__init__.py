"""The contracts: what a component receives, what it returns, in which shape.

Vocabulary (K = number of foreground classes, K' = classes present in one image):

==============  ==================================================  ============================
``images``      RGB batch, ImageNet-normalised                      (N, 3, H, W) float32
``labels``      image-level multi-hot labels                        (N, K) float32 in {0, 1}
``maps``        class maps f of the last convolution                (N, K, h, w) float
``logits``      image-level class scores before the sigmoid         (N, K) float
``cam``         activation maps A (eq. 1) of the present classes    (K', h, w) float32 in [0, 1]
``scores``      refined per-class scores, background first          (1 + K', H, W) float32
label map       0 = background, 1..K = classes, 255 = ignore        (H, W) uint8
==============  ==================================================  ============================

Convention for every component's ``__init__``: *positional* parameters are supplied by the toolkit,
*keyword-only* parameters with type and default are the user's, and appear in configs under those names.
A ``ValueError`` raised by ``__init__`` becomes one sentence for the user.
"""

from wsssbench.interfaces.artefacts import (
    Artefact,
    Cams,
    LabelMaps,
    Photo,
    Photos,
    ScoreMaps,
    TrainedClassifier,
    TrainedSegmenter,
    photo_of,
)
from wsssbench.interfaces.augmentation import Augmentation
from wsssbench.interfaces.cam import CamInference
from wsssbench.interfaces.dataset import Dataset
from wsssbench.interfaces.labelling import Labelling
from wsssbench.interfaces.loss import SegmentationBatch, SegmentationLoss
from wsssbench.interfaces.network import (
    Backbone,
    Classifier,
    Erasing,
    Objective,
    Pooling,
)
from wsssbench.interfaces.refinement import FitItem, Refinement
from wsssbench.interfaces.segmenter import SegmentationItem, Segmenter
from wsssbench.interfaces.stage import Stage
from wsssbench.interfaces.values import (
    IGNORE,
    Batch,
    Cam,
    Losses,
    Output,
    Pooled,
    RunContext,
    Scores,
)

__all__ = [
    "IGNORE",
    "Artefact",
    "Augmentation",
    "Backbone",
    "Batch",
    "Cam",
    "CamInference",
    "Cams",
    "Classifier",
    "Dataset",
    "Erasing",
    "FitItem",
    "LabelMaps",
    "Labelling",
    "Losses",
    "Objective",
    "Output",
    "Photo",
    "Photos",
    "Pooled",
    "Pooling",
    "Refinement",
    "RunContext",
    "ScoreMaps",
    "Scores",
    "SegmentationBatch",
    "SegmentationItem",
    "SegmentationLoss",
    "Segmenter",
    "Stage",
    "TrainedClassifier",
    "TrainedSegmenter",
    "photo_of",
]

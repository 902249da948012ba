"""ICD's seeds (Fan et al., CVPR 2020): class maps with a sign of their own, whose zero is the threshold."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from wsssbench.interfaces import (
    IGNORE,
    Cam,
    CamInference,
    Classifier,
    Labelling,
    Photo,
    ScoreMaps,
    Scores,
)
from wsssbench.models.preprocess import normalise, resize_image
from wsssbench.ops.cam import upsample
from wsssbench.ops.crf import dense_crf_labels
from wsssbench.refinements.dense_crf import find_preset

UNDECIDED = -1
ALIKE = 1e-5  # what differs less, or is less, is taken for 0
CLEAR = 0.5001  # score of a class where it is the seed, at least: files have steps, and no other score is above 0.5


class ICDScores(CamInference):
    """What the class maps t of `ICD` say by their sign, as scores with a background: no threshold is needed.

    With p = sigmoid(t) at the size of the image, the background has 1 - max_k p_k, and a class p_k, or 1 - p_k where
    `decided` gives the pixel to another one. So a pixel's largest score is that of its seed. Where it has none, all its
    scores are 0: `ICDSeeds` ignores such pixels, and a plain argmax takes them for background.

    Class maps f of the classifier itself tell which of several positive classes a pixel is of; here the released code
    has its own, too. Of a classifier without ICD, t is what its last objective gives, or f.

    Args:
        classes: supplied by the toolkit.
        scales: of the image; t and f are means over them. The released code has the image itself alone, on a square of
            513 pixels that the rest of is the mean colour.
        flip: add the maps of the mirrored image. The released code does not.
    """

    gives = ScoreMaps

    def __init__(
        self,
        classes: tuple[str, ...],
        *,
        scales: Annotated[tuple[Annotated[float, Field(gt=0, le=8)], ...], Field(min_length=1)] = (
            1.0,
        ),
        flip: bool = False,
    ) -> None:
        super().__init__(classes)
        self.scales, self.flip = scales, flip

    def infer(self, classifier: Classifier, photo: Photo) -> Scores:
        """Scores (1 + K', H, W) of the classes in the labels of `photo`; the classifier is left in evaluation mode."""
        image, labels = photo.image, np.asarray(photo.labels, np.float32)
        size = (image.shape[0], image.shape[1])
        present = np.flatnonzero(labels > 0)
        classifier.eval()
        device = next(classifier.parameters()).device
        given = torch.as_tensor(labels, device=device)[None]
        made = []
        with torch.inference_mode():
            for scale in self.scales:
                height, width = (max(1, round(n * scale)) for n in size)
                resized = torch.from_numpy(normalise(resize_image(image, (height, width))))
                views = torch.stack([resized, resized.flip(-1)] if self.flip else [resized])
                both = both_maps(classifier, views.to(device), given.expand(len(views), -1))
                both = both[:, :, present].float().cpu()  # (2, 1 or 2, K', h, w)
                for i in range(len(views)):
                    view = both[:, i].flip(-1) if i else both[:, i]
                    made.append([upsample(maps.numpy(), size) for maps in view])
        t, f = (np.mean([view[i] for view in made], axis=0) for i in (0, 1))
        return Scores((present + 1).astype(np.uint8), planes(t, decided(t, f)), size)


def both_maps(classifier: Classifier, images: Tensor, labels: Tensor) -> Tensor:
    """The class maps t that objectives make of `images` (N, 3, H, W), and f: (2, N, K, h, w)."""
    output = classifier(images, labels)
    f = output.maps
    for _, objective in classifier.all_objectives():
        output = replace(output, maps=objective.maps(classifier, output))
    return torch.stack([output.maps.to(f.dtype), f])


def decided(t: np.ndarray, f: np.ndarray) -> np.ndarray:
    """The seed of each pixel: 0 the background, k + 1 the k-th class, UNDECIDED; (H, W) int.

    A pixel is foreground where t of some class is positive, and background where that of all is negative. Of several
    positive classes it is the one with the largest product of ReLU(f) and ReLU(t), the former brought to [0, 1] by the
    minimum and maximum of all classes together, the latter over its class's maximum. In an image of several classes a
    foreground pixel for which that product does not differ between them is undecided, as is one that is neither.

    Args:
        t: (K', H, W); f: alike. With K' = 0 everything is background.
    """
    if not len(t):
        return np.zeros(t.shape[1:], int)
    rank = np.maximum(t, 0) / np.maximum(t.max(axis=(1, 2), keepdims=True), ALIKE)
    positive = rank > ALIKE
    negative = np.minimum(t, 0) / np.minimum(t.min(axis=(1, 2), keepdims=True), -ALIKE) > ALIKE
    foreground, background = positive.any(axis=0), negative.all(axis=0)
    seed = positive.argmax(axis=0)
    undecided = foreground == background
    if len(t) > 1:
        active = np.maximum(f, 0)
        active = active - active.min()
        product = active / max(active.max(), ALIKE) * rank
        seed = np.where(positive.sum(axis=0) > 1, product.argmax(axis=0), seed)
        undecided |= foreground & (np.ptp(product, axis=0) <= ALIKE)
    return np.where(undecided, UNDECIDED, np.where(background, 0, seed + 1))


def planes(t: np.ndarray, seed: np.ndarray) -> np.ndarray:
    """Scores (1 + K', H, W) float32 of t (K', H, W), the largest of which is the `seed`'s (H, W); see `ICDScores`."""
    p = torch.from_numpy(np.ascontiguousarray(t, np.float32)).sigmoid().numpy()
    own = np.arange(1, len(t) + 1)[:, None, None] == seed
    foreground = np.where(own, np.maximum(p, np.float32(CLEAR)), np.minimum(p, 1 - p))
    background = 1 - p.max(axis=0, initial=0, keepdims=True)
    return np.concatenate([background, foreground]) * (seed != UNDECIDED)


class ICDSeeds(Labelling):
    """The seeds of scores such as `ICDScores`, evened out by a dense CRF; no number is a threshold on CAMs.

    J. Fan, Z. Zhang, C. Song and T. Tan, *Learning Integral Objects with Intra-Class Discriminator for
    Weakly-Supervised Semantic Segmentation*, CVPR 2020. The best class of a pixel has probability `certainty`, each
    other one (1 - `certainty`) / (1 + K), over their sum; where all scores are 0 the pixel has no seed. All K classes
    of the data set take part in the CRF. This and the defaults are those of the released code, js-fan/ICD f78286a
    (run_icd.py).

    Args:
        certainty: of the seeds; None: there is no CRF, and pixels without a seed are ignored (255).
        lowest: probability below which a pixel is ignored after the CRF.
        preset: of the CRF, see `wsssbench.ops.crf.PRESETS`.

    Raises:
        ValueError: an unknown preset.
    """

    takes = (ScoreMaps,)
    title = "seeds"

    def __init__(
        self,
        classes: tuple[str, ...],
        *,
        certainty: Annotated[float, Field(gt=0, lt=1)] | None = 0.5,
        lowest: Annotated[float, Field(ge=0, lt=1)] = 0.1,
        preset: str = "psa",
    ) -> None:
        super().__init__(classes)
        self.certainty, self.lowest = certainty, lowest
        self.crf = find_preset(preset)

    def label(self, photo: Photo, given: Cam | Scores | None) -> np.ndarray:
        assert isinstance(given, Scores)
        full = upsample(given.planes, given.size)
        seeds = np.concatenate([[0], given.classes]).astype(np.uint8)[full.argmax(axis=0)]
        seeds[full.max(axis=0) <= 0] = IGNORE
        return seeds if self.certainty is None else self.evened(photo.image, seeds)

    def evened(self, image: np.ndarray, seeds: np.ndarray) -> np.ndarray:
        """What the CRF makes of `seeds` (H, W) uint8 on an `image` (H, W, 3)."""
        assert self.certainty is not None
        count = 1 + len(self.classes)
        worth = self.certainty * count, (1 - self.certainty) * (count - 1)
        parameters = replace(self.crf, label_certainty=worth[0] / sum(worth))
        posterior = dense_crf_labels(image, seeds, count, parameters)
        label = posterior.argmax(axis=0).astype(np.uint8)
        label[posterior.max(axis=0) < self.lowest] = IGNORE
        return label

"""The fully connected CRF (Krähenbühl & Koltun, NeurIPS 2011) with the literature's settings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pydensecrf.densecrf as densecrf

FLOOR = 1e-5  # probabilities below this cost the same


@dataclass(frozen=True)
class CrfParameters:
    """Kernels and number of mean-field iterations.

    Attributes:
        gaussian_sxy: standard deviation of the smoothness kernel, pixels.
        gaussian_compat: its weight (Potts).
        bilateral_sxy: spatial standard deviation of the appearance kernel, pixels.
        bilateral_srgb: its colour standard deviation, grey values of 0..255.
        bilateral_compat: its weight (Potts).
        iterations: mean-field iterations.
        label_certainty: None: the unary is -log of the scores; p: it is made from the best label
            alone, which has probability p, the others share 1 - p.
    """

    gaussian_sxy: float = 3
    gaussian_compat: float = 3
    bilateral_sxy: float = 80
    bilateral_srgb: float = 13
    bilateral_compat: float = 10
    iterations: int = 10
    label_certainty: float | None = None


PRESETS: dict[str, CrfParameters] = {
    # CAMs of PSA (CVPR 2018), and so of SEAM, OC-CSE, RRM, AEFT
    "psa": CrfParameters(),
    # after the random walk: AEFT, SEAM
    "psa_rw": CrfParameters(iterations=1),
    # PMM (ICCV 2021), pseudo-mask generation, one two-label CRF per class
    "pmm": CrfParameters(gaussian_compat=10),
    # IRNet (CVPR 2019), seeds
    "irn": CrfParameters(bilateral_sxy=50, bilateral_srgb=5, label_certainty=0.7),
    # BES (ECCV 2020), final labels
    "bes": CrfParameters(bilateral_sxy=20, bilateral_srgb=5, label_certainty=0.7),
    # DeepLab's predictions: kazuto's deeplab-pytorch, EPS, CONTA, ReCAM, LPCAM
    "deeplab": CrfParameters(1, 3, 67, 3, 4, 10),
    # predictions of SEAM's and CPN's segmentation network
    "seg_test": CrfParameters(bilateral_sxy=32, iterations=1),
    # predictions of RRM (AAAI 2020)
    "rrm": CrfParameters(bilateral_sxy=83, bilateral_srgb=5, bilateral_compat=4),
    # AFA (CVPR 2022)
    "afa": CrfParameters(bilateral_sxy=64, bilateral_srgb=5, bilateral_compat=4),
}


def dense_crf(
    image: np.ndarray, probabilities: np.ndarray, parameters: CrfParameters
) -> np.ndarray:
    """Mean-field posterior of the CRF whose unary is -log(clip(p, 1e-5, 1)); deterministic.

    The scores of one pixel need not sum to 1 (CAM + background scores do not) and are not
    renormalised: it would matter where the clip does, and the published numbers lack it. With
    `label_certainty`, the unary is made from the best label of each pixel (`dense_crf_labels`).

    Args:
        image: (H, W, 3) uint8 RGB.
        probabilities: p, (L, H, W) float; L >= 1.
        parameters: kernels, iterations, kind of unary.

    Returns:
        (L, H, W) float32, sums to 1 over L.
    """
    if probabilities.ndim != 3 or not len(probabilities):
        raise ValueError(f"probabilities have to be (L, H, W), not {probabilities.shape}")
    if parameters.label_certainty is not None:
        best = probabilities.argmax(axis=0)
        return dense_crf_labels(image, best, len(probabilities), parameters)
    unary = -np.log(np.clip(np.asarray(probabilities, np.float32), FLOOR, 1))
    return _mean_field(image, unary, parameters)


def dense_crf_labels(
    image: np.ndarray, labels: np.ndarray, num_labels: int, parameters: CrfParameters
) -> np.ndarray:
    """The same with a unary from a label map: -log p for its label, -log((1 - p) / (L - 1)) else.

    Args:
        image: (H, W, 3) uint8 RGB.
        labels: (H, W) integer in 0..L-1.
        num_labels: L.
        parameters: p is its `label_certainty`, in (0, 1).

    Returns:
        (L, H, W) float32, sums to 1 over L.
    """
    certainty = parameters.label_certainty
    if certainty is None or not 0 < certainty < 1:
        raise ValueError(f"label_certainty has to be in (0, 1), not {certainty}")
    is_label = labels[None] == np.arange(num_labels)[:, None, None]  # (L, H, W)
    others = (1 - certainty) / max(num_labels - 1, 1)
    unary = np.where(is_label, -np.log(certainty), -np.log(others)).astype(np.float32)
    return _mean_field(image, unary, parameters)


def _mean_field(image: np.ndarray, unary: np.ndarray, parameters: CrfParameters) -> np.ndarray:
    count, height, width = unary.shape
    if image.shape != (height, width, 3) or image.dtype != np.uint8:
        raise ValueError(
            f"the image has to be uint8 of shape {(height, width, 3)}, "
            f"not {image.dtype} of {image.shape}"
        )
    if count == 1:
        return np.ones(unary.shape, np.float32)
    crf = densecrf.DenseCRF2D(width, height, count)
    crf.setUnaryEnergy(np.ascontiguousarray(unary.reshape(count, -1)))
    crf.addPairwiseGaussian(sxy=parameters.gaussian_sxy, compat=parameters.gaussian_compat)
    crf.addPairwiseBilateral(
        sxy=parameters.bilateral_sxy,
        srgb=parameters.bilateral_srgb,
        rgbim=np.require(image, requirements=["C", "W"]),  # the wrapper takes no read-only memory
        compat=parameters.bilateral_compat,
    )
    posterior = crf.inference(parameters.iterations)
    return np.array(posterior, np.float32).reshape(unary.shape)

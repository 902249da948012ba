"""The Grad-CAM family, computed by the package grad-cam."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from importlib.util import find_spec
from typing import Annotated, Any, Literal, cast

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from wsssbench.errors import MissingPackageError, UserError
from wsssbench.interfaces import Cam, CamInference, Classifier, Photo
from wsssbench.ops.cam import normalise
from wsssbench_baselines.cams.scales import Scales, views, with_gradients, without_class

Method = Literal[
    "GradCAM", "GradCAMPlusPlus", "LayerCAM", "XGradCAM", "HiResCAM", "GradCAMElementWise", "ScoreCAM"
]  # fmt: skip


class GradCAM(CamInference):
    """Grad-CAM and its kin, by the package grad-cam (``pip install "wsssbench[grad-cam]"``).

    With the activations A of a layer, (C, h, w), and the gradient g of a class's logit with respect to them, the map
    of that class is the ReLU of

    * ``GradCAM`` (Selvaraju et al., ICCV 2017): sum over k of mean(g_k) A_k,
    * ``GradCAMPlusPlus`` (Chattopadhay et al., WACV 2018): weights sum of ReLU(g) a, a = g^2 / (2 g^2 + (sum A) g^3),
    * ``LayerCAM`` (Jiang et al., TIP 2021): sum over k of ReLU(g_k) A_k at each place,
    * ``XGradCAM`` (Fu et al., BMVC 2020): weights sum of g A / sum A,
    * ``HiResCAM`` (Draelos & Carin, 2020): sum over k of g_k A_k at each place,
    * ``GradCAMElementWise``: sum over k of ReLU(g_k A_k) at each place,
    * ``ScoreCAM`` (Wang et al., CVPR Workshops 2020): weights are the softmax over the channels of the logit of the
      image times the channel, so it takes a pass for each channel.

    With global average pooling and the last layer, ``GradCAM``, ``XGradCAM`` and ``HiResCAM`` are the plain CAM: g is
    the head's weight everywhere. They differ with other poolings and layers. The package scales each map from its
    minimum to its maximum and enlarges it to the image bilinearly; these are summed over scales and mirror images, and
    divided by the maximum. By default there is one view, which is the package's own result.

    It differs from the papers where the package does: gradients are those of logits, also for ``GradCAMPlusPlus``,
    whose paper has their exponential; ``LayerCAM`` has no tanh for shallow layers and fuses none. Class maps that
    objectives make play no part, since these methods look at activations and logits.

    Args:
        classes: supplied by the toolkit.
        method: as above, the names of the package's classes.
        layer: dotted name of a part of the classifier whose result is looked at, e.g. ``backbone.stages.3``; empty: the
            backbone's last feature map.
        scales: of the image.
        flip: add the maps of the mirrored image.

    Raises:
        MissingPackageError: the package is not installed.
        UserError: the classifier has no such part, or its result is no feature map.
    """

    quick = {"method": "GradCAM"}  # noqa: RUF012

    def __init__(
        self,
        classes: tuple[str, ...],
        *,
        method: Method = "GradCAM",
        layer: Annotated[str, Field(max_length=1000)] = "",
        scales: Scales = (1.0,),
        flip: bool = False,
    ) -> None:
        super().__init__(classes)
        if find_spec("pytorch_grad_cam") is None:
            raise MissingPackageError("cam GradCAM", "the package grad-cam", "grad-cam")
        self.method, self.layer = method, layer
        self.scales, self.flip = scales, flip

    def infer(self, classifier: Classifier, photo: Photo) -> Cam:
        """CAMs of `photo` for the classes in its labels; the classifier is left in evaluation mode."""
        image, labels = photo.image, np.asarray(photo.labels, np.float32)
        size = (image.shape[0], image.shape[1])
        present = np.flatnonzero(labels > 0)
        classifier.eval()
        if len(present) == 0:
            return without_class(size)
        device = next(classifier.parameters()).device
        total = torch.zeros(len(present), *size)
        for scale in self.scales:
            with with_gradients():
                both = views(image, scale, device)
            for turned, view in enumerate(both[: 2 if self.flip else 1]):
                maps = torch.from_numpy(self.maps(classifier, view, present))
                maps = maps.flip(-1) if turned else maps
                total += F.interpolate(maps[None], size, mode="bilinear", align_corners=False)[0]
        return Cam((present + 1).astype(np.uint8), normalise(total).numpy(), size)

    def maps(self, classifier: Classifier, view: Tensor, present: np.ndarray) -> np.ndarray:
        """Return the package's maps (K', H, W) float32 in [0, 1] of one `view` (3, H, W), for the `present` classes."""
        import pytorch_grad_cam
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

        logits = _Logits(classifier)
        layer = self._layer(logits)
        check = layer.register_forward_hook(self._need_map)
        with with_gradients(), _without_own_gradients(classifier):
            cam = getattr(pytorch_grad_cam, self.method)(logits, [layer])
            cam.compute_input_gradient = True  # the weights have none
            try:
                # One class at a time: a batch of them would take that many times the memory.
                made = [self._one(cam, view, ClassifierOutputTarget(int(c))) for c in present]
            finally:
                cam.activations_and_grads.release()
                check.remove()
        return np.concatenate(made).astype(np.float32)

    def _one(self, cam: Any, view: Tensor, target: Any) -> np.ndarray:
        with redirect_stderr(io.StringIO()):  # Score-CAM draws a bar for every image
            return cast(np.ndarray, cam(view[None], [target]))

    def _layer(self, logits: _Logits) -> nn.Module:
        if not self.layer:
            return logits.last
        try:
            return logits.classifier.get_submodule(self.layer)
        except AttributeError:
            known = ", ".join(name for name, _ in logits.classifier.backbone.named_children())
            raise UserError(
                f"cam GradCAM: layer='{self.layer}' is no part of the classifier: give backbone.NAME, where NAME "
                f"begins with one of {known}, or nothing for its last feature map"
            ) from None

    def _need_map(self, module: nn.Module, given: Any, result: Any) -> None:
        if not isinstance(result, Tensor) or result.ndim != 4:
            raise UserError(
                f"cam GradCAM: layer='{self.layer}', a {type(module).__name__}, gives no feature map (N, C, h, w): "
                "give a convolution, its ReLU or a block of them, such as a part of the backbone"
            )


class _Logits(nn.Module):
    """A classifier as the package takes one: images (N, 3, H, W) -> logits (N, K).

    Attributes:
        last: gives the backbone's last feature map.
    """

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.classifier = classifier
        self.last = nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        features = self.classifier.backbone(images)
        shown = self.last(features[-1])
        logits: Tensor = self.classifier.classify((*features[:-1], shown)).logits
        return logits


@contextmanager
def _without_own_gradients(classifier: Classifier) -> Iterator[None]:
    """Keep the package, which computes all gradients there are, from those of the weights."""
    had = [one for one in classifier.parameters() if one.requires_grad]
    for one in had:
        one.requires_grad_(False)
    try:
        yield
    finally:
        for one in had:
            one.requires_grad_(True)

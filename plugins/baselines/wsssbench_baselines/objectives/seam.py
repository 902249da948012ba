"""Self-supervised equivariant attention (SEAM): maps that move with the image, refined by the affinity of pixels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from wsssbench.interfaces import Batch, Classifier, Losses, Objective, Output
from wsssbench.ops.cam import normalise_range

EPS = 1e-5

Size = tuple[int, ...]
Weight = Annotated[float, Field(ge=0, le=1000)]
Channels = Annotated[int, Field(ge=1, le=4096)]


class SEAM(Objective):
    """Equivariant regularisation and pixel correlation (Wang et al., CVPR 2020, sections 3.2 to 3.4).

    With f the class maps, v what the pixel correlation module (PCM) makes of them, A and V both normalised
    (`normalise_range`) and 0 for classes that are not in the image, and view 2 the image at `scale`:

    * L_cls = (BCE_1 + BCE_2) / 2, of which the first half is the classifier's own loss;
    * L_ER = mean |A_1 - A_2| over images, all K classes and pixels;
    * L_ECR = mean of the largest |hot(A_2) - V_1| + mean of the largest |hot(A_1) - V_2|. hot keeps the value of the
      strongest class of each pixel and puts 1 - max_k A in front as the background; no gradient reaches it;
    * L_min, see `minimum`.

    CAMs are inferred from v. Paper and released code go with ``cam=dict(type="MultiScaleCAM", normalisation="range")``.

    Values without a remark are the released code's, https://github.com/YudeWang/SEAM (train_SEAM.py,
    network/resnet38_SEAM.py at 3212261); which of them the paper names was not verified. Done otherwise there:

    * logits are means of the maps upsampled to the image; here the classifier's pooling has the maps as they are;
    * maps for CAMs are upsampled twice, to the view and then to the photo; here `MultiScaleCAM` does it once;
    * its head has a channel for the background that nothing reads.

    Args:
        num_classes: K; supplied by the toolkit, not needed here.
        channels: of the backbone; supplied by the toolkit. PCM embeds the maps before the last one.
        scale: of the second view.
        equivariance: weight of L_ER. Its mean also counts the absent classes, which are 0: deliberately, says the
            author (issue 1 of the released code).
        cross: weight of L_ECR.
        hardest: share of the values of each image that L_ECR takes the mean of, the largest ones; 1: all.
        minimum: weight of L_min, the mean of the quarter of all pixels that belong least to any present class, by their
            v. It is in the released code alone, whose remark is that only the best background threshold changes.
        correction: False leaves PCM out, and L_ECR and L_min with it: ER alone in the paper's ablation.
        widths: channels of PCM's embeddings of the two maps before the last one, finer first.

    Raises:
        ValueError: PCM would not be trained, as `cross` and `minimum` are 0.
    """

    classification_weight = 0.5

    def __init__(
        self,
        num_classes: int,
        channels: tuple[int, ...],
        *,
        scale: Annotated[float, Field(ge=0.1, le=1)] = 0.3,
        equivariance: Weight = 1.0,
        cross: Weight = 1.0,
        hardest: Annotated[float, Field(gt=0, le=1)] = 0.2,
        minimum: Weight = 1.0,
        correction: bool = True,
        widths: tuple[Channels, Channels] = (64, 128),
    ) -> None:
        super().__init__()
        if correction and not cross and not minimum:
            raise ValueError(
                "cross=0 and minimum=0 leave nothing that trains the pixel correlation module: set correction=False"
            )
        self.scale, self.hardest = scale, hardest
        self.equivariance, self.cross, self.minimum = equivariance, cross, minimum
        self.pcm = PixelCorrelation(channels, widths) if correction else None

    def losses(self, classifier: Classifier, batch: Batch, output: Output) -> Losses:
        """The terms ``cls``, ``er``, and with PCM ``ecr`` and ``min``."""
        labels, passes = batch.labels, [output]
        size = tuple(max(1, int(n * self.scale)) for n in batch.images.shape[-2:])
        passes.append(classifier(resized(batch.images, size), labels))
        loss = F.binary_cross_entropy_with_logits(passes[1].logits.to(labels.dtype), labels)
        terms = {"cls": self.classification_weight * loss}
        a1, a2 = (activation(one.maps, labels, size_of(one), size) for one in passes)
        terms["er"] = self.equivariance * (a1 - a2).abs().mean()
        if self.pcm is not None:
            corrected = [self.pcm(one) for one in passes]
            present = F.pad(labels, (1, 0), value=1)  # the background is in every image
            v1, v2 = (
                activation(v, present, size_of(one), size)
                for v, one in zip(corrected, passes, strict=True)
            )
            terms["ecr"] = self.cross * cross_loss(a1, v1, a2, v2, self.hardest)
            low = [least(v, labels, size_of(one)) for v, one in zip(corrected, passes, strict=True)]
            terms["min"] = self.minimum * (low[0] + low[1]) / 2
        return Losses(terms)

    def maps(self, classifier: Classifier, output: Output) -> Tensor:
        """v of the K classes, (N, K, h, w); f without PCM."""
        return output.maps if self.pcm is None else self.pcm(output)[:, 1:]


class PixelCorrelation(nn.Module):
    """PCM (section 3.3): each pixel gets the mean of the maps at all pixels, weighted by how alike they are.

    Likeness is the cosine of embeddings of the image and of the features before the last ones, where it is positive.
    Features and maps come without gradient, so that the module learns what alike means and nothing else; where they
    differ in size from the class maps, they are resized. It computes in float32.

    Args:
        channels: of the backbone's feature maps, coarse last.
        widths: channels of the embeddings of the two before the last one, finer first; a backbone with a single one
            before the last has the second width.
    """

    def __init__(self, channels: tuple[int, ...], widths: tuple[int, int]) -> None:
        super().__init__()
        given = channels[:-1][-len(widths) :]
        used = widths[len(widths) - len(given) :]
        self.first = len(channels) - 1 - len(given)
        layers = [nn.Conv2d(c, w, 1, bias=False) for c, w in zip(given, used, strict=True)]
        for layer in layers:
            nn.init.kaiming_normal_(layer.weight)
        self.reduce = nn.ModuleList(layers)
        self.embed = nn.Conv2d(3 + sum(used), sum(widths), 1, bias=False)
        nn.init.xavier_uniform_(self.embed.weight, gain=4)

    def forward(self, output: Output) -> Tensor:
        """v of the background and the classes, (N, 1 + K, h, w), for the class maps f (N, K, h, w) of `output`."""
        with torch.autocast(output.maps.device.type, enabled=False):
            return spread(guide(output.maps), self.embed(self.seen(output)))

    def seen(self, output: Output) -> Tensor:
        """What is embedded: the image beside ReLU of the reduced features, at the size of the maps, (N, D, h, w)."""
        assert output.images is not None
        size = tuple(output.maps.shape[-2:])
        parts = [resized(output.images, size)]
        for layer, features in zip(self.reduce, output.features[self.first : -1], strict=True):
            parts.append(F.relu(layer(resized(features.detach(), size))))
        return torch.cat(parts, dim=1)


def spread(planes: Tensor, embedded: Tensor) -> Tensor:
    """Each pixel of `planes` (N, C, h, w) becomes the mean over all pixels, by their positive cosine in `embedded`."""
    x = embedded.flatten(2)  # (N, D, hw)
    x = x / (x.norm(dim=1, keepdim=True) + EPS)
    alike = F.relu(x.transpose(1, 2) @ x)  # (N, hw, hw)
    total = planes.flatten(2) @ alike  # (N, C, hw)
    return (total / (alike.sum(dim=1, keepdim=True) + EPS)).reshape(planes.shape)


@torch.no_grad()
def guide(maps: Tensor) -> Tensor:
    """What PCM spreads: `maps` f (N, K, h, w) over their maxima, and of each pixel only the strongest class.

    All K classes take part, also those that are not in the image.

    Returns:
        (N, 1 + K, h, w) in [0, 1], the background first.
    """
    positive = at_least_float32(maps).relu()
    planes = F.relu(positive - EPS) / (positive.amax(dim=(2, 3), keepdim=True) + EPS)
    return hot(planes)


def hot(planes: Tensor) -> Tensor:
    """Keep of `planes` (N, K, h, w) the strongest at each pixel, behind a background of 1 - max_k: (N, 1 + K, h, w)."""
    strongest = planes.amax(dim=1, keepdim=True)
    return torch.cat([1 - strongest, torch.where(planes == strongest, planes, 0)], dim=1)


def activation(maps: Tensor, labels: Tensor, image: Size, size: Size) -> Tensor:
    """A or V of `maps` (N, C, h, w): normalised at the size of the `image`, and then resized to `size`.

    Classes that are not in `labels` (N, C) are 0.
    """
    return of_present(maps, labels, lambda m: resized(normalise_range(resized(m, image)), size))


def of_present(maps: Tensor, labels: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
    """`change` of the `maps` (N, C, h, w) of the classes in `labels` (N, C), and 0 for the others.

    Most classes are absent: leaving them out saves most of the memory that maps at the size of images take.

    Args:
        change: a function of maps (P, 1, h, w), each for itself.
    """
    present = labels > 0
    changed = change(maps[present][:, None])[:, 0]  # (P, H, W)
    return changed.new_zeros(*labels.shape, *changed.shape[1:]).index_put((present,), changed)


def cross_loss(a1: Tensor, v1: Tensor, a2: Tensor, v2: Tensor, hardest: float) -> Tensor:
    """L_ECR of A (N, K, h, w) and V (N, 1 + K, h, w) of two views: V of each learns from A of the other.

    V's background is PCM's own, unlike that of A.
    """
    targets = (hot(a2).detach(), v1), (hot(a1).detach(), v2)
    return torch.stack([largest((target - v).abs(), hardest) for target, v in targets]).sum()


def largest(values: Tensor, share: float) -> Tensor:
    """The mean of the largest `share` of the `values` (N, ...) of each image."""
    flat = values.flatten(1)
    return flat.topk(max(1, int(flat.shape[1] * share)), dim=1).values.mean()


def least(corrected: Tensor, labels: Tensor, image: Size) -> Tensor:
    """L_min of v (N, 1 + K, h, w): the mean of ReLU(max_k v_k y_k) over the lowest quarter of each `image`'s pixels."""
    planes = of_present(corrected[:, 1:], labels, lambda m: resized(m, image))
    most = planes.amax(dim=1).flatten(1)  # (N, HW)
    return most.topk(max(1, most.shape[1] // 4), dim=1, largest=False).values.relu().mean()


def size_of(output: Output) -> Size:
    """(H, W) of the images that `output` was made of."""
    assert output.images is not None  # the classifier was given images, not features
    return tuple(output.images.shape[-2:])


def resized(maps: Tensor, size: Size) -> Tensor:
    """`maps` (N, C, h, w) at `size`, bilinear, at least in float32; the corner pixels stay in the corners."""
    maps = at_least_float32(maps)
    if maps.shape[-2:] == size:
        return maps
    return F.interpolate(maps, size, mode="bilinear", align_corners=True)


def at_least_float32(x: Tensor) -> Tensor:
    """`x`, in float32 if it is half precision."""
    return x.to(torch.promote_types(x.dtype, torch.float32))

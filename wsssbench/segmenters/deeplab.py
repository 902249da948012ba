"""DeepLab and PSPNet, trained and tested by mmsegmentation on any registered backbone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from wsssbench.errors import UserError
from wsssbench.interfaces import RunContext, SegmentationItem, Segmenter
from wsssbench.parallel import ranks
from wsssbench.plugins import load
from wsssbench.segmenters.save_prediction import is_saved
from wsssbench.segmenters.settings import (
    POOLED,
    DeepLabSettings,
    HeadSettings,
    InitSettings,
    LossSettings,
    TestSettings,
    TrainView,
)
from wsssbench.training.checkpoints import is_trained
from wsssbench.training.quiet import log_file, quiet
from wsssbench.training.rehearsal import images_per_step
from wsssbench.training.schedule import Schedule
from wsssbench.training.transforms import Side

Factor = Annotated[float, Field(gt=0, le=16)]  # on the size of an image


class DeepLab(Segmenter):
    """DeepLab-LargeFOV (ICLR 2015), v2 (TPAMI 2018), v3+ (ECCV 2018) or PSPNet (CVPR 2017), by mmsegmentation.

    Predictions have the size of their image.

    Args:
        head: ``"largefov"`` (SEAM's and CPN's choice), ``"v2"``, ``"v3plus"``, ``"psp"`` (PSPNet, PMM's), or
            ``"dilated"``: two 3 x 3 convolutions with ReLU between (the network in AEFT's release).
        backbone: any registered backbone, e.g. ``dict(type="ResNet38d", weights="...")``.
        schedule: see `wsssbench.training.schedule.Schedule`; `new_layers_lr` applies to the head.
        crop: side of the training crops.
        resize: smallest and largest factor on the size of a training image.
        resize_step: the factor is one of smallest, smallest + step, ..., largest; None: any between the two.
        flip: mirror half of the training images.
        photometric: random brightness, contrast, saturation and hue (True), or shifts by -10..10 of hue, saturation
            and value (``"hsv10"``, SEAM's).
        interpolation: of resized training images.
        small_images: at the top left of a larger crop, or at a random place in it.
        cat_max_ratio: training crops with a larger share of one class are drawn again; 1 takes any.
        channels: of the head's hidden layers; None: 512 (largefov, psp), 256 (v3plus), no hidden layer (v2).
        dropout: before the head's last layer; None: 0.5 (largefov), 0.1 (v3plus, psp). After each hidden layer in a
            largefov without norm and in a v2 with channels (0.5).
        norm: batch normalisation in the head; None: in largefov, v3plus and psp. False: a largefov as on the
            paper's VGG-16.
        norm_momentum: share of a batch in the running statistics of the head's normalisation.
        last_layer: initial values of a largefov's last layer: normal with deviation 0.01 and bias 0 (Caffe's, mmseg's),
            or normal by fan-out (He et al., ICCV 2015) and PyTorch's bias, as in SEAM's recipe.
        fc_from_vgg: on a pretrained VGG: the head's hidden layers start from its fully connected ones, thinned as in
            the paper; only the last layer is new then.
        multi_scale_inputs: the network also sees its input at these scales, in training (with a loss for each, and one
            for the maximum of all logits) and in prediction (the maximum), e.g. (0.5, 0.75).
        loss: any registered loss, e.g. ``dict(type="MyLoss")``; None: the cross-entropy over the pixels that are not
            255.
        loss_at: ``"image"``: logits are upsampled to the labels; ``"map"``: labels are reduced to the logits.
        align_corners: how logits are resized.
        init: ``dict(weights="file.pth", trained_on="COCO")`` replaces the backbone's weights, ``part="network"`` also
            the head's; anything but ImageNet is a warning, and is named on the protocol card.
        dilations: of the head; None: the published ones at stride 8, (12,), (6, 12, 18, 24) or (1, 12, 24, 36),
            scaled to the backbone's stride so that they cover the same part of the image.
        test: ``scales`` and ``flip`` give views of the image, ``average`` merges them (``"probabilities"``,
            ``"logits"`` or ``"maximum"``), ``crf`` names a preset of `wsssbench.ops.crf`, ``slide`` predicts in windows
            of the size of the crop; default one view, no CRF.
    """

    def __init__(
        self,
        classes: tuple[str, ...],
        *,
        backbone: dict[str, Any],
        schedule: dict[str, Any],
        head: Literal["largefov", "dilated", "v2", "v3plus", "psp"] = "largefov",
        crop: Side = 321,
        resize: tuple[Factor, Factor] = (0.5, 1.5),
        resize_step: Factor | None = None,
        flip: bool = True,
        photometric: bool | Literal["hsv10"] = True,
        interpolation: Literal["bilinear", "cubic"] = "bilinear",
        small_images: Literal["corner", "random"] = "corner",
        cat_max_ratio: Annotated[float, Field(gt=0, le=1)] = 0.75,
        channels: Annotated[int, Field(ge=1, le=8192)] | None = None,
        dropout: Annotated[float, Field(ge=0, lt=1)] | None = None,
        norm: bool | None = None,
        norm_momentum: Annotated[float, Field(gt=0, le=1)] = 0.1,
        last_layer: Literal["normal", "kaiming"] = "normal",
        fc_from_vgg: bool = False,
        dilations: Annotated[tuple[Annotated[int, Field(ge=1, le=256)], ...], Field(min_length=1)]
        | None = None,
        multi_scale_inputs: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = (),
        loss: dict[str, Any] | None = None,
        loss_at: Literal["image", "map"] = "image",
        align_corners: bool = False,
        init: dict[str, Any] | None = None,
        test: dict[str, Any] | None = None,
    ) -> None:
        self.settings = DeepLabSettings(
            ("background", *classes),
            load().registries.backbone.resolve(backbone, "segmenter.backbone"),
            Schedule.from_config(schedule, "segmenter.schedule"),
            HeadSettings(
                *(head, channels, dropout, dilations, norm, norm_momentum, fc_from_vgg, last_layer)
            ),
            TrainView(
                *(crop, resize, flip, photometric, cat_max_ratio),
                *(resize_step, interpolation, small_images),
            ),
            LossSettings(loss_at, multi_scale_inputs, align_corners, loss),
            None if init is None else InitSettings.from_config(init),
            TestSettings.from_config(test or {}),
        )
        if fc_from_vgg:
            self._check_vgg()
        if loss is not None:  # what it refuses is told here
            load().registries.loss.build(loss, where="segmenter.loss")

    def train(self, items: Sequence[SegmentationItem], context: RunContext) -> None:
        """Leaves ``weights.pth`` and ``scalars.jsonl``; goes on from the last checkpoint after a kill.

        Raises:
            UserError: no items, items without label map, a label map that does not fit, a loss that is no number.
        """
        ranks.init(context.device)
        if is_trained(context.directory):
            return
        unlabelled = [item.id for item in items if item.label is None]
        if not items or unlabelled:
            what = f"'{unlabelled[0]}' has no pseudo-label" if unlabelled else "there is no image"
            raise UserError(f"segmenter: {what} to train on")
        self._check_batch(context.device)
        init = self.settings.init
        if init is not None and not init.imagenet_only:
            context.progress.warn(
                f"segmenter.init: the network starts from weights trained on {init.trained_on} "
                f"({init.weights}), so its results do not compare with those of ImageNet weights"
            )
        with quiet(log_file(context.directory)):
            from wsssbench.segmenters.run import train

            train(self.settings, items, context)

    def rehearse(self, context: RunContext, pretrained: bool) -> None:
        """Train one step on two tiny images that are written for that, and predict one of them."""
        schedule = self.settings.schedule
        images = images_per_step(schedule, context.device, "segmenter.schedule")
        self._check_batch(context.device)
        with quiet(log_file(context.directory)):
            from wsssbench.segmenters.run import rehearse

            rehearse(self.settings, images, context, pretrained)

    def predict(
        self, items: Sequence[SegmentationItem], trained: Path, context: RunContext
    ) -> Mapping[str, Any]:
        """Write ``<id>.png`` for every item; the items are shared by the ranks, each PNG is whole or absent.

        Returns:
            mmseg's aAcc, mIoU and mAcc in per cent, from the PNGs of all items that carry a label map (whether they
            were written now or before); empty if none does.
        """
        ranks.init(context.device)
        weights = trained / "weights.pth"
        if not weights.is_file():
            raise UserError(f"segmenter: there is no trained network {weights}: train it first")
        context.directory.mkdir(parents=True, exist_ok=True)
        mine = ranks.shard(items)
        missing = [
            item for item in mine if not is_saved(context.directory / f"{item.id}.png", item.image)
        ]
        if len(missing) < len(mine):
            done = len(mine) - len(missing)
            context.progress.say(f"predict: {done} of {len(mine)} images are done already")
        # Every rank has to see what is missing before another one writes.
        todo = [item for part in ranks.gather(missing) for item in part]
        with quiet(log_file(context.directory)):
            from wsssbench.segmenters.run import predict

            return predict(self.settings, items, todo, weights, context)

    def _check_vgg(self) -> None:
        backbone, init = self.settings.backbone, self.settings.init
        vgg = str(backbone.get("name", "")).startswith("vgg")
        if not vgg or not (backbone["weights"] or backbone["pretrained"]) or init:
            raise ValueError(
                "fc_from_vgg=True needs a TorchvisionBackbone of a VGG with pretrained weights, and no init"
            )

    def _check_batch(self, device: str) -> None:
        schedule = self.settings.schedule
        share = schedule.per_rank(ranks.world_size())
        together = device == "cuda" and ranks.world_size() > 1
        head = self.settings.head.type
        if head in POOLED and share == 1 and not together:
            raise UserError(
                f"segmenter.schedule.batch_size={schedule.batch_size}: head '{head}' normalises one value per "
                "image over the batch and needs at least 2 images per process"
            )

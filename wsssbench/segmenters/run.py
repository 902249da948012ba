"""Training and testing a DeepLab with mmseg; everything here imports mmsegmentation."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dataset import DefaultSampler, pseudo_collate
from mmengine.evaluator import Evaluator
from mmseg.models.segmentors import EncoderDecoder
from PIL import Image
from torch.utils.data import DataLoader

from wsssbench.files.images import write_label
from wsssbench.interfaces import RunContext, SegmentationItem
from wsssbench.parallel import ranks
from wsssbench.segmenters.data import Items, test_pipeline, training_pipeline
from wsssbench.segmenters.network import build_network
from wsssbench.segmenters.predictor import AveragedProbabilities, WrittenIoU
from wsssbench.segmenters.settings import DeepLabSettings
from wsssbench.training.checkpoints import load_weights
from wsssbench.training.engine import seed_everything
from wsssbench.training.loading import plain_errors, start_method, start_worker
from wsssbench.training.precision import mixed_precision
from wsssbench.training.quiet import isolated, log_file, quiet
from wsssbench.training.rehearsal import PROGRESS, check_crop, on_tiny_images, tiny_photo
from wsssbench.training.runner import Runner, TrainingJob, fit


def train(
    settings: DeepLabSettings, items: Sequence[SegmentationItem], context: RunContext
) -> None:
    """Train on the label maps of `items`."""
    with isolated():
        seed_everything(context.seed)
        model = _network(settings, context.device)
        data = Items(items, settings.names, training_pipeline(settings.view), context.seed)
        faster = lr_multipliers(settings)
        if settings.init is None or settings.init.imagenet_only:
            new = (f"backbone.network.{path}" for path in model.backbone.network.new_layers)
            faster |= dict.fromkeys(new, settings.schedule.new_layers_lr)
        job = TrainingJob(
            model, data, pseudo_collate, model.state_dict, faster, on_progress=model.set_progress
        )
        fit(job, settings.schedule, context, title="segment")


def rehearse(settings: DeepLabSettings, images: int, context: RunContext, pretrained: bool) -> None:
    """Train a step on that many tiny images in the context's directory, and predict one; see `Segmenter.rehearse`."""
    with isolated():
        start = replace(settings, init=settings.init if pretrained else None)
        model = _network(start, context.device, pretrained).to(context.device)
        model.set_progress(PROGRESS)
        stride, crop = model.backbone.network.strides[-1], settings.view.crop
        check_crop(crop, stride, "segmenter.crop")

        def attempt(side: int) -> None:
            items = _tiny_items(context.directory, side, len(settings.names))
            model.data_preprocessor.size = (side, side)
            pipeline = training_pipeline(replace(settings.view, crop=side))
            data = Items(items, settings.names, pipeline, context.seed)
            batch = pseudo_collate([data[i, i] for i in range(images)])
            with mixed_precision(settings.schedule, context.device):
                inputs = model.data_preprocessor(batch, training=True)
                loss, _ = model.parse_losses(model.train()(**inputs, mode="loss"))
            loss.backward()
            one_view = replace(settings.test, scales=settings.test.scales[:1], flip=False)
            seen = Items(items, settings.names, test_pipeline(one_view), test_mode=True)
            with torch.inference_mode():
                views = AveragedProbabilities(model, settings.test.average).eval()
                views.test_step(pseudo_collate([seen[0]]))

        on_tiny_images(attempt, crop, stride)


def _tiny_items(directory: Path, side: int, labels: int) -> list[SegmentationItem]:
    photo, label = directory / "photo.png", directory / "label.png"
    Image.fromarray(tiny_photo(side)).save(photo)
    write_label(label, (np.indices((side, side)).sum(axis=0) % labels).astype(np.uint8))
    return [SegmentationItem(name, photo, label) for name in ("first", "second")]


def predict(
    settings: DeepLabSettings,
    items: Sequence[SegmentationItem],
    todo: Sequence[SegmentationItem],
    weights: Path,
    context: RunContext,
) -> dict[str, float]:
    """Predict the `todo` among `items` and score all of them; returns mmseg's metrics."""
    share = len(ranks.shard(todo))
    workers = context.workers if share >= 4 * context.workers else 0  # starting them takes a second
    total = len(ranks.shard(items))
    bar = context.progress.track("predict", total, done=total - share)
    # Quiet inside the bar: a bar may send what is printed while it moves to the terminal.
    with isolated(), plain_errors(), bar as task, quiet(log_file(context.directory)):
        metric = WrittenIoU(context.directory, items, settings.test.crf, workers, task)
        metric.dataset_meta = {"classes": settings.names}
        try:
            if not todo:
                return metric.evaluate(0)
            data = Items(todo, settings.names, test_pipeline(settings.test), test_mode=True)
            model = _network(settings, context.device, pretrained=False)
            load_weights(model, weights)
            views = AveragedProbabilities(model, settings.test.average)
            metrics: dict[str, float] = _runner(views, data, metric, context).test()
            return metrics
        finally:
            metric.close()


def _network(settings: DeepLabSettings, device: str, pretrained: bool = True) -> EncoderDecoder:
    # mmseg's resize warns of nearly every size; the caller's `quiet` undoes this filter.
    warnings.filterwarnings("ignore", message="When align_corners=True")
    return build_network(
        settings.backbone,
        settings.head,
        len(settings.names),
        device,
        crop=settings.view.crop,
        slide=settings.test.slide,
        losses=settings.losses,
        init=settings.init,
        pretrained=pretrained,
    )


def lr_multipliers(settings: DeepLabSettings) -> dict[str, float]:
    """Where parameters are -> factor on their learning rate; new is what the head does not have weights for."""
    new = settings.schedule.new_layers_lr
    if settings.init is not None and settings.init.part == "network":
        return {}
    if settings.head.fc_from_vgg:
        return {"decode_head.conv_seg": new, "decode_head.branches.*.fc8": new}
    return {"decode_head": new}


def _runner(
    model: AveragedProbabilities, data: Items, metric: WrittenIoU, context: RunContext
) -> Runner:
    loader: DataLoader[Any] = DataLoader(
        data,
        1,  # images of different sizes do not stack
        sampler=DefaultSampler(data, shuffle=False, round_up=False),
        num_workers=context.workers,
        collate_fn=pseudo_collate,
        multiprocessing_context=start_method(context.workers),
        worker_init_fn=start_worker,
        generator=torch.Generator().manual_seed(context.seed),
    )
    return Runner(
        model,
        context.directory,
        context.device,
        test_dataloader=loader,
        test_cfg={},
        test_evaluator=Evaluator([metric]),
        default_hooks={"runtime_info": None, "timer": None, "logger": None, "checkpoint": None},
        randomness={"seed": context.seed},
    )

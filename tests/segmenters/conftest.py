"""Three photos to segment, and a network trained on them."""

from __future__ import annotations

import pytest
import torch
from tiny_segmentation import context, deeplab, make_items, register

from wsssbench.plugins import load


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module", autouse=True)
def registered_backbone():
    """For these tests alone: others look at every registered component."""
    register()
    yield
    del load().registries.backbone.components["TinyBackbone"]
    del load().registries.loss.components["TinyLoss"]


@pytest.fixture(scope="module")
def items(tmp_path_factory):
    return make_items(tmp_path_factory.mktemp("items"))


@pytest.fixture(scope="module")
def trained(tmp_path_factory, items):
    """Directory of a trained largefov network."""
    torch.set_num_threads(1)
    directory = tmp_path_factory.mktemp("trained")
    deeplab().train(items, context(directory))
    return directory

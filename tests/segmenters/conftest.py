"""Three photos to segment, and a network trained on them."""

from __future__ import annotations

import pytest
import torch
from tiny_segmentation import context, deeplab, make_items


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


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

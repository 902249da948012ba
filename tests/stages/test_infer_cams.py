"""Inferring CAMs: random numbers depend on the seed and the image alone, and what takes long is told beforehand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_experiment import TINY

from wsssbench.experiment.checks import not_made_yet
from wsssbench.experiment.config import resolve
from wsssbench.experiment.plan import Plan, Settings, make_plan
from wsssbench.interfaces import Cam, CamInference, Classifier, Photo, photo_of
from wsssbench.plugins import load
from wsssbench.progress import Silent
from wsssbench.registry import Registry
from wsssbench.stages.infer_cams import CamJob, InferCams, with_seed


class Noise(CamInference):
    """Random maps, which take long."""

    random = True
    quick = {"repeats": 1}  # noqa: RUF012

    def __init__(self, classes: tuple[str, ...], *, repeats: int = 60) -> None:
        super().__init__(classes)
        self.repeats = repeats

    def infer(self, classifier: Classifier, photo: Photo) -> Cam:
        present = np.flatnonzero(photo.labels)
        size = photo.image.shape[:2]
        maps = self.generator(photo).uniform(size=(len(present), *size))
        return Cam((present + 1).astype(np.uint8), maps.astype(np.float32), size)

    def passes(self) -> float:
        return float(self.repeats)


def photo(id: str) -> Photo:
    return photo_of(np.zeros((4, 5, 3), np.uint8), [1, 0], id)


def noise(seed: int) -> Noise:
    made: Noise = with_seed(Noise(("a", "b")), seed)
    return made


def test_random_numbers_depend_on_seed_and_id_alone() -> None:
    def drawn(seed: int, *ids: str) -> np.ndarray:
        method = noise(seed)
        return np.stack([method.infer(None, photo(id)).maps for id in ids])  # type: ignore[arg-type]

    one = drawn(0, "a", "b")
    np.testing.assert_array_equal(one[::-1], drawn(0, "b", "a"))
    assert not np.allclose(one[0], one[1]) and not np.allclose(one, drawn(1, "a", "b"))


def test_what_is_not_random_is_given_no_seed() -> None:
    class Still(Noise):
        random = False

    assert with_seed(Still(("a",)), 3).seed == 0 and with_seed(Noise(("a",)), 3).seed == 3


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> Registry:
    registry: Registry = load().registries.cam
    monkeypatch.setattr(registry, "components", dict(registry.components))
    registry.add("Noise", "test_infer_cams:Noise", summary="for a test")
    return registry


def plan(work: Path, **changed: Any) -> Plan:
    config = {**TINY, "refine": {}, "label": {"input": "cam"}, **changed}
    return make_plan(resolve(config), Settings(work, "cpu", 0, Silent()))


def test_what_takes_long_is_told_and_smoke_makes_it_quick(
    registered: Registry, tmp_path: Path
) -> None:
    planned = plan(tmp_path, cam={"type": "Noise"})
    nodes = [step.node for step in planned.steps]
    efforts = {
        node.name: node.kind.effort(not_made_yet(node, nodes, planned.dataset), planned.dataset)
        for node in nodes
    }
    told = {name: text for name, text in efforts.items() if text}
    assert (
        list(told) == ["cam"]
        and "Noise sees the pixels of an image with one class 60 times" in told["cam"]
    )
    assert not any(
        node.kind.effort(node, planned.dataset) for node in [s.node for s in plan(tmp_path).steps]
    )
    assert InferCams().smoke({"type": "Noise", "repeats": 60}) == {"type": "Noise", "repeats": 1}


def test_the_seed_counts_for_a_random_one_alone(registered: Registry, tmp_path: Path) -> None:
    def config(seed: int, cam: dict[str, Any]) -> dict[str, Any]:
        return dict(plan(tmp_path, seed=seed, cam=cam)["cam"].node.config)

    assert [config(seed, {"type": "Noise"})["seed"] for seed in (0, 1)] == [0, 1]
    assert config(0, TINY["cam"]) == config(1, TINY["cam"])


def test_the_job_hands_the_seed_on(registered: Registry) -> None:
    job = CamJob({"type": "Noise"}, ("a", "b"), None, "cpu", seed=7)
    assert job.slow and not CamJob({"type": "Noise", "repeats": 2}, ("a",), None, "cpu").slow
    job.prepare()
    assert job.method.seed == 7

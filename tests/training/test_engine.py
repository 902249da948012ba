"""Training: what a step does, exact resume after a kill, no dependence on workers, several ranks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from toy_processes import PROGRAM, trained_by_two_ranks, trained_elsewhere
from toy_training import (
    SCHEDULE,
    Points,
    Toy,
    context,
    iteration_at,
    run,
    same,
    scalars,
)
from warm_processes import RankError

from wsssbench.errors import CorruptArtefactError, UserError
from wsssbench.interfaces import Losses
from wsssbench.training import runner
from wsssbench.training.checkpoints import Checkpoints, load_weights
from wsssbench.training.engine import seed_everything, train
from wsssbench.training.loading import plain_errors
from wsssbench.training.schedule import Schedule


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """(weights, directory) of an undisturbed training."""
    directory = tmp_path_factory.mktemp("unbroken")
    torch.set_num_threads(1)
    return run(directory)[0], directory


class Break(Exception):
    """Stands for a kill inside this process."""


def _run_until(directory: Path, iteration: int) -> None:
    class Breaking(Toy):
        def forward(self, batch, progress):
            if iteration_at(SCHEDULE, progress) == iteration:
                raise Break
            return super().forward(batch, progress)

    seed_everything(7)
    with pytest.raises(Break):
        run(directory, task=Breaking())


def test_killed_anywhere_it_ends_with_the_same_weights(tmp_path, unbroken):
    # 3 iterations after a checkpoint.
    assert trained_elsewhere(tmp_path, "0", "7") == -signal.SIGKILL
    # Half of checkpoint 8 on disk.
    assert trained_elsewhere(tmp_path, "0", "save:8") == -signal.SIGKILL
    weights, diary = run(tmp_path, workers=2)
    assert diary.lines == ["toy: resumed at iteration 4 of 12"]
    assert diary.tracks == [("toy", 12, 4)]
    assert same(weights, unbroken[0])
    assert scalars(tmp_path) == scalars(unbroken[1])


def test_workers_change_nothing_and_are_started_once(tmp_path, unbroken, monkeypatch):
    """Not anew after each of the three checkpoints; and they end with the training."""
    started = tmp_path / "started"

    def note(number: int) -> None:
        with started.open("a") as file:
            file.write(f"{os.getpid()}\n")

    monkeypatch.setattr(runner, "start_worker", note)
    assert same(run(tmp_path / "run", workers=2)[0], unbroken[0])
    pids = started.read_text().split()
    assert len(pids) == 2
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_round_length_changes_nothing(tmp_path, unbroken):
    assert same(run(tmp_path, schedule=replace(SCHEDULE, checkpoint_every=5))[0], unbroken[0])


def test_losses_that_are_fetched_together_are_the_same(tmp_path, unbroken, monkeypatch):
    monkeypatch.setitem(runner.FETCHED_TOGETHER, "cpu", 3)
    assert same(run(tmp_path)[0], unbroken[0])
    assert scalars(tmp_path) == scalars(unbroken[1])


def test_fetched_together_a_divergence_is_found_before_the_next_checkpoint(tmp_path, monkeypatch):
    class Diverging(Toy):
        def forward(self, batch, progress):
            losses = super().forward(batch, progress)
            factor = np.inf if iteration_at(SCHEDULE, progress) == 6 else 1.0
            return Losses({name: loss * factor for name, loss in losses.terms.items()})

    monkeypatch.setitem(runner.FETCHED_TOGETHER, "cpu", 10)
    with pytest.raises(UserError, match="the loss became inf at iteration 6"):
        run(tmp_path, task=Diverging())
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["iteration_0000004.pth"]


def test_the_last_checkpoint_is_the_weights(tmp_path, monkeypatch):
    published = []
    monkeypatch.setattr(Checkpoints, "publish", lambda self, iteration: published.append(iteration))
    run(tmp_path)
    assert published == [4, 8]  # of 12 iterations


class KilledWorker(Points):
    """One of the processes that load images is killed, once."""

    def __init__(self, mark: Path) -> None:
        super().__init__()
        self.mark = mark

    def __getitem__(self, draw):
        # its batch is asked for after the fourth iteration and its checkpoint
        if draw[1] == 34 and torch.utils.data.get_worker_info() and not self.mark.exists():
            self.mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__getitem__(draw)


def test_after_a_killed_worker_the_same_with_fewer_goes_on(tmp_path, unbroken):
    data, weights = KilledWorker(tmp_path / "mark"), {}
    for workers in (2, 0):
        seed_everything(7)
        task, where = Toy(), context(tmp_path / "toy", workers)
        try:
            path = train(task, data, SCHEDULE, where, {"head": 10.0}, "toy")
            weights[workers] = torch.load(path, weights_only=True)
        except UserError as error:
            assert "a process that loads images died" in str(error) and workers == 2
            assert "with fewer workers" in str(error)
    assert list(weights) == [0] and same(weights[0], unbroken[0])
    assert any("resumed at iteration" in line for line in where.progress.lines)


@pytest.mark.parametrize("error", [ConnectionResetError(104, "reset by peer"), EOFError()])
def test_a_worker_may_die_while_it_hands_over_an_image(error):
    with pytest.raises(UserError, match="a process that loads images died"), plain_errors():
        raise error
    of_the_data_set = ConnectionError("Caught ConnectionError in DataLoader worker process 0.")
    with pytest.raises(ConnectionError), plain_errors():
        raise of_the_data_set


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    for i in range(len(data) // 3, len(data) // 3 + 600):  # beyond the padding of one tensor
        data[i] ^= 0xFF
    path.write_bytes(data)


def _empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [_cut, _flip, _empty])
def test_a_damaged_checkpoint_is_passed_over(tmp_path, unbroken, damage):
    _run_until(tmp_path, 11)
    assert sorted(p.name for p in (tmp_path / "checkpoints").iterdir()) == [
        "iteration_0000004.pth",
        "iteration_0000008.pth",
    ]
    damage(tmp_path / "checkpoints" / "iteration_0000008.pth")
    weights, diary = run(tmp_path)
    assert diary.lines == [
        "toy: checkpoint iteration_0000008.pth is damaged and is not used",
        "toy: resumed at iteration 4 of 12",
    ]
    assert same(weights, unbroken[0])


class Mark:
    """Unpickling it leaves a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_checkpoint_that_holds_code_is_passed_over(tmp_path, unbroken):
    _run_until(tmp_path, 11)
    path = tmp_path / "checkpoints" / "iteration_0000008.pth"
    checkpoint = torch.load(path, weights_only=True)
    torch.save({**checkpoint, "more": Mark(tmp_path / "mark")}, path)
    weights, diary = run(tmp_path)
    assert not (tmp_path / "mark").exists()
    assert diary.lines[0] == "toy: checkpoint iteration_0000008.pth is damaged and is not used"
    assert same(weights, unbroken[0])


def test_a_config_in_a_checkpoint_is_not_run(tmp_path, unbroken):
    """mmengine's Runner would."""
    _run_until(tmp_path, 11)
    path = tmp_path / "checkpoints" / "iteration_0000008.pth"
    checkpoint = torch.load(path, weights_only=True)
    checkpoint["meta"]["config"] = (
        f"import pathlib\npathlib.Path({str(tmp_path / 'mark')!r}).touch()"
    )
    torch.save(checkpoint, path)
    weights, diary = run(tmp_path)
    assert not (tmp_path / "mark").exists()
    assert diary.lines == ["toy: resumed at iteration 8 of 12"]
    assert same(weights, unbroken[0])


def test_a_checkpoint_of_another_network_is_a_sentence(tmp_path):
    _run_until(tmp_path, 11)
    path = tmp_path / "checkpoints" / "iteration_0000008.pth"
    checkpoint = torch.load(path, weights_only=True)
    checkpoint["state_dict"].popitem()
    torch.save(checkpoint, path)
    with pytest.raises(CorruptArtefactError, match=r"iteration_0000008\.pth .*TaskModel"):
        run(tmp_path)


def test_weights_are_read_as_data(tmp_path):
    torch.save({**Toy().state_dict(), "more": Mark(tmp_path / "mark")}, tmp_path / "weights.pth")
    with pytest.raises(CorruptArtefactError, match=r"weights\.pth"):
        load_weights(Toy(), tmp_path / "weights.pth")
    assert not (tmp_path / "mark").exists()
    torch.save(nn.Linear(2, 2).state_dict(), tmp_path / "weights.pth")
    with pytest.raises(CorruptArtefactError, match="state_dict for Toy"):
        load_weights(Toy(), tmp_path / "weights.pth")


def test_with_every_checkpoint_damaged_it_starts_anew(tmp_path, unbroken):
    _run_until(tmp_path, 6)
    _cut(tmp_path / "checkpoints" / "iteration_0000004.pth")
    weights, diary = run(tmp_path)
    assert diary.tracks == [("toy", 12, 0)]
    assert same(weights, unbroken[0])
    assert len(scalars(tmp_path)) == 12


def test_a_finished_training_returns_at_once(tmp_path):
    weights, _ = run(tmp_path)
    assert not (tmp_path / "checkpoints").exists()

    class Untouchable(Toy):
        def forward(self, batch, progress):
            raise AssertionError("trained again")

    (tmp_path / "checkpoints").mkdir()  # of a kill right after the weights were written
    again, diary = run(tmp_path, task=Untouchable())
    assert not (tmp_path / "checkpoints").exists()
    assert same(weights, again)
    assert diary.tracks == []


def test_scalars_hold_the_poly_schedule_with_warm_up(unbroken):
    lines = scalars(unbroken[1])
    assert [line["iteration"] for line in lines] == list(range(1, 13))
    i = np.arange(12)
    expected = 0.05 * (1 - i / 12) ** 0.9 * np.minimum(1, (i + 1) / 3)
    np.testing.assert_allclose([line["lr"] for line in lines], expected, rtol=1e-6)
    np.testing.assert_allclose([line["progress"] for line in lines], i / 12, rtol=1e-6)
    assert all(line["loss"] == line["fit"] for line in lines)


@pytest.mark.parametrize("optimizer", ["SGD", "AdamW"])
def test_steps_are_those_of_a_plain_loop(tmp_path, optimizer):
    """Against torch's optimiser in a loop: multipliers, poly decay, weight decay, clipping, frozen parameters."""
    schedule = Schedule(
        batch_size=4, iterations=5, lr=0.03, optimizer=optimizer, power=0.7, clip_grad=0.1
    )
    seed_everything(1)
    task = Toy(dropout=0.0)
    reference = Toy(dropout=0.0)
    reference.load_state_dict(task.state_dict())
    seen = []

    class Watched(Points):
        def __getitem__(self, draw):
            seen.append(draw)
            return super().__getitem__(draw)

    # "body.1" is the longer way to "body.1.weight", so it counts; "weight" and "bod" lead to nothing
    multipliers = {"head": 10.0, "body": 2.0, "*.1": 0.0, "weight": 3.0, "bod": 3.0}
    path = train(task, Watched(), schedule, context(tmp_path), multipliers)

    fast, slow = list(reference.head.parameters()), list(reference.body[0].parameters())
    groups = [{"params": fast, "lr": 0.3}, {"params": slow, "lr": 0.06}]
    cls = {"SGD": torch.optim.SGD, "AdamW": torch.optim.AdamW}[optimizer]
    optimiser = cls(groups, weight_decay=5e-4, **({"momentum": 0.9} if optimizer == "SGD" else {}))
    data = Points()
    for i in range(5):
        for group, lr in zip(optimiser.param_groups, (0.3, 0.06), strict=True):
            group["lr"] = lr * (1 - i / 5) ** 0.7
        points = torch.stack([data[draw]["point"] for draw in seen[i * 4 : i * 4 + 4]])
        optimiser.zero_grad()
        reference({"point": points}, i / 5).terms["fit"].backward()
        nn.utils.clip_grad_norm_(fast + slow, 0.1)
        optimiser.step()
    trained = torch.load(path, weights_only=True)
    for name, value in reference.state_dict().items():
        torch.testing.assert_close(trained[name], value, rtol=1e-5, atol=1e-7, msg=name)
    assert torch.equal(trained["body.1.weight"], torch.ones(16))


def test_a_loss_that_is_no_number_is_a_sentence(tmp_path):
    class Exploding(Toy):
        def forward(self, batch, progress):
            losses = super().forward(batch, progress)
            factor = float("nan") if progress > 0.5 else 1.0
            return Losses({"fit": losses.terms["fit"] * factor})

    with pytest.raises(
        UserError, match=r"toy: the loss became nan at iteration 8, so .* diverged: a lower"
    ):
        run(tmp_path, task=Exploding())
    assert not (tmp_path / "weights.pth").exists()
    assert run(tmp_path)[1].lines == ["toy: resumed at iteration 4 of 12"]


@pytest.mark.parametrize(
    ("blow", "sentence"),
    [
        # A finite loss whose gradient is not: the last step spoils the weights, and no loss comes after it.
        (lambda fit: fit + (0 * fit).sqrt(), "after the last iteration the weights .* not finite"),
        (lambda fit: fit * 1e13, "the loss became .*e.* at iteration 1"),
    ],
)
def test_a_training_that_has_diverged_leaves_no_weights(tmp_path, blow, sentence):
    class Steep(Toy):
        def forward(self, batch, progress):
            return Losses({"fit": blow(super().forward(batch, progress).terms["fit"])})

    once = replace(SCHEDULE, warmup_iterations=0, iterations=1)
    with pytest.raises(UserError, match=f"^toy: {sentence}.*lower learning rate"):
        run(tmp_path, task=Steep(), schedule=once)
    assert not (tmp_path / "weights.pth").exists()


def test_weights_that_are_not_finite_are_not_read(tmp_path):
    """Earlier versions saved what a training had left when it diverged in its last step."""
    torch.save(
        {"good": torch.ones(2), "bad": torch.tensor([1.0, float("inf")])}, tmp_path / "w.pth"
    )
    with pytest.raises(UserError, match=r"w\.pth: the weights bad are not finite"):
        load_weights(Toy(), tmp_path / "w.pth")


def test_bfloat16_computes_the_losses_in_it_and_keeps_the_weights_in_float32(tmp_path):
    seen, trained = [], {}

    class Watched(Toy):
        def forward(self, batch, progress):
            seen.append(torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu"))
            return super().forward(batch, progress)

    for name, amp in (("full", False), ("mixed", "bfloat16"), ("again", "bfloat16")):
        seed_everything(7)
        path = train(Watched(0.0), Points(), replace(SCHEDULE, amp=amp), context(tmp_path / name))
        trained[name] = torch.load(path)
        assert {True: {torch.bfloat16}, False: {False}}[bool(amp)] == set(seen)
        seen.clear()
    assert same(trained["mixed"], trained["again"])
    for name, full in trained["full"].items():
        mixed = trained["mixed"][name]
        assert mixed.dtype == full.dtype
        torch.testing.assert_close(mixed, full, rtol=0.05, atol=0.02)
    assert not same(trained["mixed"], trained["full"])


def test_mistakes_are_known_before_training(tmp_path):
    class Nothing(Points):
        def __len__(self):
            return 0

    with pytest.raises(UserError, match="no image to train on"):
        train(Toy(), Nothing(), SCHEDULE, context(tmp_path / "a"), title="toy")
    with pytest.raises(UserError, match="amp=True needs a GPU"):
        train(Toy(), Points(), replace(SCHEDULE, amp=True), context(tmp_path / "b"))
    with pytest.raises(UserError, match="nothing to train"):
        train(Toy().requires_grad_(False), Points(), SCHEDULE, context(tmp_path / "c"))


def test_it_is_silent_and_leaves_no_traces(tmp_path, capfd):
    import multiprocessing

    from mmengine.logging import MessageHub, MMLogger
    from mmengine.registry import DefaultScope

    def state():
        return (
            multiprocessing.get_start_method(allow_none=True),
            [len(cls._instance_dict) for cls in (DefaultScope, MessageHub, MMLogger)],
            dict(os.environ),
            np.random.get_state()[1].tolist(),  # noqa: NPY002
            torch.get_rng_state().tolist(),
        )

    seed_everything(7)
    task, before = Toy(), state()
    train(task, Points(), SCHEDULE, context(tmp_path / "one"), {"head": 10.0}, "toy")
    assert state() == before
    weights, _ = run(tmp_path / "two")  # a second one in the same process
    assert same(weights, torch.load(tmp_path / "one" / "weights.pth", weights_only=True))
    output = capfd.readouterr()
    assert output.out == output.err == ""
    assert "mmengine" in (tmp_path / "one" / "libraries.log").read_text()


def test_checkpoints_keep_two(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    for iteration in (2, 4, 10):
        torch.save({"meta": {"iter": iteration}}, checkpoints.part(iteration))
        checkpoints.publish(iteration)
    assert len(list(tmp_path.iterdir())) == 2
    assert checkpoints.latest() == (tmp_path / "iteration_0000010.pth", [])


def by_torchrun(directory: Path) -> None:
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    command = [sys.executable, *launcher, str(PROGRAM), str(directory), "0"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def forked(directory: Path) -> None:
    trained_by_two_ranks(directory, "0")


# As users do, in the slow set: three times the seconds of the imports.
@pytest.mark.parametrize("start", [forked, pytest.param(by_torchrun, marks=pytest.mark.slow)])
def test_two_ranks_train_one_network_on_the_same_batches(tmp_path, start):
    start(tmp_path / "two")
    first, second = (
        torch.load(tmp_path / "two" / f"rank{r}.pth", weights_only=True) for r in (0, 1)
    )
    assert same(first, second)
    saved = torch.load(tmp_path / "two" / "weights.pth", weights_only=True)
    assert same(first, saved)
    # Without dropout and batch norm, two halves of a batch are the batch.
    single, _ = run(tmp_path / "one", task=_plain())
    for name, value in single.items():
        torch.testing.assert_close(saved[name], value, rtol=1e-4, atol=1e-6, msg=name)
    losses = [[line["loss"] for line in scalars(tmp_path / d)] for d in ("one", "two")]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)


def _plain() -> Toy:
    seed_everything(7)
    return Toy(dropout=0.0, norm=False)


@pytest.mark.slow
def test_two_ranks_resume_exactly(tmp_path):
    trained_by_two_ranks(tmp_path / "whole", "0")
    with pytest.raises(RankError, match=f"ended with {-signal.SIGKILL}"):
        trained_by_two_ranks(tmp_path / "broken", "2", "7")
    trained_by_two_ranks(tmp_path / "broken", "0")
    whole, broken = (
        torch.load(tmp_path / d / "weights.pth", weights_only=True) for d in ("whole", "broken")
    )
    assert same(whole, broken)

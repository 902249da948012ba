"""What libraries print goes to the log file, whatever the progress bar does with the terminal."""

from __future__ import annotations

import io
import logging
import sys
import warnings
from contextlib import contextmanager
from dataclasses import replace

import pytest
from toy_training import SCHEDULE, Points, Toy, context

from wsssbench.progress import Silent
from wsssbench.training.engine import train
from wsssbench.training.quiet import log_file, quiet


@pytest.mark.filterwarnings("ignore:a warning")
def test_prints_warnings_and_log_records(tmp_path, capsys):
    library, late = (logging.getLogger(f"a library {name}") for name in ("old", "new"))
    library.addHandler(logging.StreamHandler(sys.stderr))  # took hold of the terminal when imported
    log = tmp_path / "deep" / "log"
    with quiet(log):
        print("a print")
        print("an error", file=sys.stderr)
        library.warning("a record")
        warnings.warn("a warning", stacklevel=1)
        late.addHandler(logging.StreamHandler())
    assert capsys.readouterr() == ("", "")
    assert log.read_text().splitlines()[:3] == ["a print", "an error", "a record"]
    library.warning("to the terminal again")
    late.warning("born inside")
    assert capsys.readouterr().err.splitlines() == ["to the terminal again", "born inside"]
    library.handlers.clear()
    late.handlers.clear()


def test_it_appends_and_passes_errors_on(tmp_path):
    with pytest.raises(KeyError), quiet(tmp_path / "log"):
        print("one")
        raise KeyError
    with quiet(tmp_path / "log"):
        print("two")
    assert (tmp_path / "log").read_text() == "one\ntwo\n"


def test_every_rank_has_its_own_file(tmp_path, monkeypatch):
    names = set()
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        names.add(log_file(tmp_path).name)
    assert names == {"libraries.log", "libraries.rank1.log"}


def test_a_bar_that_shows_what_is_printed_shows_nothing(tmp_path):
    terminal = io.StringIO()

    class Live(Silent):
        @contextmanager
        def track(self, title, total, done=0):
            before, sys.stdout = sys.stdout, terminal
            with super().track(title, total, done) as task:
                yield task
            sys.stdout = before

    class Talking(Toy):
        def forward(self, batch, progress):
            print("chatter")
            return super().forward(batch, progress)

    where = replace(context(tmp_path), progress=Live())
    train(Talking(), Points(), SCHEDULE, where)
    assert terminal.getvalue() == ""
    assert "chatter" in log_file(tmp_path).read_text()

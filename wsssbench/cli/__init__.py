"""The command line: one file per command; nothing heavy is imported before a command needs it."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import redirect_stderr
from pathlib import Path

import typer

from wsssbench.cli import complete
from wsssbench.cli.console import EscapedStream, show_all
from wsssbench.errors import CorruptArtefactError, UserError, one_line

_STOPPED = (130, 143, 129)  # exit codes after Ctrl-C, SIGTERM, SIGHUP


def build_app() -> typer.Typer:
    """Return the typer application with every command."""
    from wsssbench.cli import (
        cache,
        compare,
        config,
        data,
        doctor,
        evaluate,
        export,
        import_cams,
        import_labels,
        plugins,
        predict,
        report,
        run,
        runs,
        sweep,
        weights,
    )
    from wsssbench.cli.plugin_option import with_plugin_files

    app = typer.Typer(
        name="wsssbench",
        help="Weakly supervised semantic segmentation from image-level labels: "
        "train, refine, segment and compare; methods are plugins.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.command("run", epilog=run.EXAMPLES)(with_plugin_files(run.run))
    app.command("sweep", epilog=sweep.EXAMPLES)(with_plugin_files(sweep.sweep))
    app.command("compare", epilog=compare.EXAMPLES)(compare.compare)
    app.command("report", epilog=report.EXAMPLES)(with_plugin_files(report.report))
    app.command("evaluate", epilog=evaluate.EXAMPLES)(evaluate.evaluate)
    app.command("predict", epilog=predict.EXAMPLES)(with_plugin_files(predict.predict))
    app.command("import-cams", epilog=import_cams.EXAMPLES)(
        with_plugin_files(import_cams.import_cams)
    )
    app.command("import-labels", epilog=import_labels.EXAMPLES)(
        with_plugin_files(import_labels.import_labels)
    )
    app.add_typer(runs.app, name="runs")
    app.add_typer(cache.app, name="cache")
    app.add_typer(plugins.app, name="plugins")
    app.add_typer(config.app, name="config")
    app.add_typer(data.app, name="data")
    app.add_typer(export.app, name="export")
    app.add_typer(weights.app, name="weights")
    app.command("doctor")(with_plugin_files(doctor.doctor))
    return app


def main() -> int:
    """Run the command line.

    Returns:
        The exit code: 2 for a mistake of the user's, told in one sentence.
    """
    # Both are read when torch is imported. Threads that wait spin for a short while only: beside one other busy
    # process, long spinning made CPU training 15 times slower on 2 cores. And warnings from C++ cannot be sent to
    # the log from Python.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    complete.rejoin_words(os.environ)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by who started this
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
        show_all(getattr(sys, name))
    try:
        # The parser of the command line quotes the arguments it refuses, as they are.
        with redirect_stderr(EscapedStream(sys.stderr)):
            build_app()()
    except (UserError, CorruptArtefactError) as error:
        return _complain(str(error))
    except SystemExit as end:
        if end.code in _STOPPED:  # the first is what typer makes of a KeyboardInterrupt
            _say_stopped()
        raise
    except OSError as error:
        sentence = _of_the_disk(error)
        if sentence is None:
            raise
        return _complain(sentence)
    return 0


def _say_stopped() -> None:
    """Say how to go on. Nobody can read it once the terminal is closed; that is no error."""
    try:
        print("\nstopped; the same command again continues from here", file=sys.stderr)
        sys.stdout.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (1, 2):  # else Python's own last flush would fail and change the exit code
            os.dup2(nowhere, stream)


def _of_the_disk(error: OSError) -> str | None:
    """Return the sentence for a full disk, or a place that cannot be used; None for anything else."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        place = f" while writing {error.filename}" if error.filename else ""
        return (
            f"the disk is full{place}: free some space and run the same command again, "
            "nothing that was computed is lost"
        )
    if error.errno and error.filename:
        return f"{error.filename} cannot be used: {(error.strerror or '').lower()}"
    return None


def _complain(sentence: str) -> int:
    print(f"error: {one_line(sentence)}", file=sys.stderr)
    return 2

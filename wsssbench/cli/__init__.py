"""The command line: one file per command; nothing heavy is imported before a command needs it."""

from __future__ import annotations

import errno
import os
import sys

import typer

from wsssbench.errors import UserError


def build_app() -> typer.Typer:
    """The typer application with every command."""
    from wsssbench.cli import config, data, doctor, evaluate, plugins, run

    app = typer.Typer(
        name="wsssbench",
        help="Weakly supervised semantic segmentation from image-level labels: "
        "train, refine, segment and compare; methods are plugins.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.command("run", epilog=run.EXAMPLES)(run.run)
    app.command("evaluate", epilog=evaluate.EXAMPLES)(evaluate.evaluate)
    app.add_typer(plugins.app, name="plugins")
    app.add_typer(config.app, name="config")
    app.add_typer(data.app, name="data")
    app.command("doctor")(doctor.doctor)
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
    try:
        build_app()()
    except UserError as error:
        return _complain(str(error))
    except KeyboardInterrupt:
        print("\nstopped; the same command again continues from here", file=sys.stderr)
        return 130
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        place = f" while writing {error.filename}" if error.filename else ""
        return _complain(
            f"the disk is full{place}: free some space and run the same command again, "
            "nothing that was computed is lost"
        )
    return 0


def _complain(sentence: str) -> int:
    print(f"error: {sentence}", file=sys.stderr)
    return 2

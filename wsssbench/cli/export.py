"""``wsssbench export``: results of a run in the formats of others."""

from __future__ import annotations

import typer

from wsssbench.cli import export_cams, export_label_maps, export_submission
from wsssbench.cli.plugin_option import with_plugin_files

app = typer.Typer(help="Results in the formats of others.", no_args_is_help=True)
app.command("voc-submission", epilog=export_submission.EXAMPLES)(
    with_plugin_files(export_submission.export_submission)
)
app.command("cams", epilog=export_cams.EXAMPLES)(with_plugin_files(export_cams.export_cams))
app.command("labels", epilog=export_label_maps.LABELS_EXAMPLES)(export_label_maps.export_labels)
app.command("predictions", epilog=export_label_maps.PREDICTIONS_EXAMPLES)(
    export_label_maps.export_predictions
)


@app.callback()
def _group() -> None:
    """Results in the formats of others."""

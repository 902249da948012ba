"""ReCAM at the small scale, where CAMs over-activate. It starts from the classifier of configs/gap_context.py."""

_base_ = ["../_base_/synthetic_small_context.py"]
name = "recam_synthetic"
before = dict(
    plain=dict(
        classifier=dict(
            init=None,
            objectives=[],
            schedule=dict(epochs=20, lr=0.05, warmup_iterations=20, new_layers_lr=1.0),
        ),
    )
)
classifier = dict(
    pooling=dict(type="GAP"),
    erasing=[],
    init="plain.classify",
    objectives=[dict(type="ReCAM", weight=1.0)],
    # As the published recipe: the new head ten times as fast as the rest, and that slowly.
    schedule=dict(epochs=8, lr=0.005, warmup_iterations=0, new_layers_lr=10.0),
)

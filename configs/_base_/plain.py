"""What the matrices of all methods share: the bases, and what makes one plain, so that a row adds its method alone."""

bases = dict(
    part="{{ fileDirname }}/../gap_part.py",
    context="{{ fileDirname }}/../gap_context.py",
    synthetic="{{ fileDirname }}/../gap_synthetic.py",
    voc="{{ fileDirname }}/../aeft_voc.py",
    voc_small="{{ fileDirname }}/../gap_voc_small.py",
)
seeds = (0, 1, 2)
set = {
    "splits.heldout": "val",
    "evaluate.selection": "heldout",
    "classifier.pooling": "GAP()",
    "classifier.erasing": "none",
    "classifier.objectives": "none",
    "classifier.augment": "none",
    "classifier.init": "none",
    "cam": "MultiScaleCAM",  # with the base's scales
    "cam.normalisation": "max",
    "stages": "none",
    "before": "none",
    "rounds": 1,
}

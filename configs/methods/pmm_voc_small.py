"""PMM's cycle on VOC photos, on a laptop; see pmm_synthetic.py."""

_base_ = ["../gap_voc_small.py"]
name = "pmm_voc_small"
before = dict(
    once=dict(
        label=dict(type="PPMG", input="cam"),
        segmenter=dict(loss=dict(type="PretendedUnderfitting")),
    ),
)
refine = dict(_delete_=True)
label = dict(_delete_=True, type="PredictedLabels", labels="once.predict.train")

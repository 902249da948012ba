"""PMM's cycle (ICCV 2021) on generated scenes: what a first network predicts of its own images teaches the second."""

_base_ = ["../gap_synthetic.py"]
name = "pmm_synthetic"
before = dict(
    once=dict(  # the first network: proportional pseudo-masks, pretended under-fitting
        label=dict(type="PPMG", input="cam"),
        segmenter=dict(loss=dict(type="PretendedUnderfitting")),
    ),
)
refine = dict(_delete_=True)
label = dict(_delete_=True, type="PredictedLabels", labels="once.predict.train")  # of the second
# Without the cycle, in one chain:
#   --set "label=PPMG(input='cam')" --set segmenter.loss=PretendedUnderfitting

"""RRM's reliable labels on generated scenes: a network learns from what CAM and CRFs are sure of, in equal shares."""

_base_ = ["../gap_synthetic.py"]
name = "rrm_synthetic"
refine = dict(_delete_=True)
label = dict(_delete_=True, type="ReliableLabels", input="cam")
segmenter = dict(loss=dict(type="BalancedCrossEntropy", over="batch"))

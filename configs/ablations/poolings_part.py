"""The poolings of the literature at the small scale, where CAMs under-activate: from the maximum to the average.

wsssbench sweep configs/ablations/poolings_part.py

The threshold is chosen on the masks of val, by the same procedure for every row; PAMR refines the CAMs of each, with
the background exponent of the base's CRF. NGWP's own masks, which need no threshold, are a row of configs/methods.py.
A class map of 14 x 14 has room for bins of 2, 4 and 8.
"""

bases = dict(part="{{ fileDirname }}/../gap_part.py")
title = "Poolings, where CAMs under-activate"
until = "pamr"
seeds = (0, 1, 2)
set = {
    "splits.heldout": "val",
    "evaluate.selection": "heldout",
    "classifier.erasing": "none",
    "+refine.pamr": "PAMR(input='cam', alpha=1.2)",
}
rows = {
    "GAP": dict(set={"classifier.pooling": "GAP()"}),
    "max": dict(set={"classifier.pooling": "MaxPooling()"}),
    "log-sum-exp, r = 1": dict(set={"classifier.pooling": "LogSumExp(r=1.0)"}),
    "log-sum-exp, r = 5": dict(set={"classifier.pooling": "LogSumExp(r=5.0)"}),
    "WILDCAT": dict(set={"classifier.pooling": "WILDCAT()"}),
    "WILDCAT, the highest alone": dict(set={"classifier.pooling": "WILDCAT(kmin=0)"}),
    "nGWP": dict(set={"classifier.pooling": "NGWP()"}),
    "nGWP without the size-focal term": dict(set={"classifier.pooling": "NGWP(focal=0.0)"}),
    "BES attention, k = 0.001": dict(set={"classifier.pooling": "AttentionPooling()"}),
    "BES attention, k = 1": dict(set={"classifier.pooling": "AttentionPooling(k=1.0)"}),
    "GPP": dict(set={"classifier.pooling": "GPP(bins=(2, 4, 8))"}),
}
baseline = "GAP"

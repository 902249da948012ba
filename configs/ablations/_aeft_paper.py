"""What the matrices of the AEFT paper's tables share: the experiments they run on, and the protocol of its numbers.

wsssbench sweep configs/ablations/table1_gpp.py                          # generated scenes
wsssbench sweep configs/ablations/table1_gpp.py --base voc --set data.root=VOCdevkit/VOC2012
wsssbench sweep configs/ablations/table1_gpp.py --base my_config.py
"""

bases = dict(
    synthetic="{{ fileDirname }}/../aeft_synthetic.py",
    voc="{{ fileDirname }}/../aeft_voc.py",
    voc_small="{{ fileDirname }}/../aeft_voc_small.py",
)
seeds = (0, 1, 2)
# Thresholds are swept on the masks of train; ResNet38 with ImageNet weights.
paper = dict(
    card={
        "dataset": "VOC2012",
        "split": "train",
        "images": 1464,
        "scales": "0.5, 1.0, 1.5, 2.0",
        "threshold_choice": "oracle",
        "backbone": "ResNet38d",
    }
)

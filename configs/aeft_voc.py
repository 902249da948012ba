"""AEFT on VOC 2012 as the paper describes it (Yoon et al., ECCV 2022). On four GPUs:

    wsssbench data prepare voc --voc VOCdevkit/VOC2012 --sbd SBD
    torchrun --nproc_per_node=4 -m wsssbench run configs/aeft_voc.py --set data.root=VOCdevkit/VOC2012

The method with all its values and their sources is _base_/aeft_resnet38d.py. resnet_38d.params has to be in the
working directory (or elsewhere: --set classifier.backbone.weights=..., and the same for refine.rw and segmenter).
With VOC's test images beside the others:

    torchrun ... --set data.root=VOCdevkit/VOC2012 --set splits.test=test
    wsssbench export voc-submission RUN --split test
"""

_base_ = ["_base_/voc12.py", "_base_/aeft_resnet38d.py"]
name = "aeft_voc"
# The paper: train_aug has 10,582 images; Tables 1-4 are on train (1,464), Table 5 on val (1,449) and test (1,456).
splits = dict(train="train_aug", evaluate="train", val="val", test="")  # test: see above
# The paper's Tables 4 and 5, which choose thresholds and alphas on the masks of train. VOC's server scored test: 71.7.
reference = {
    "CAM": 56.0,
    "+ CRF": 63.5,
    "+ random walk + CRF": 71.0,
    "DeepLab val": 70.9,
}

"""The core's own components, registered through the same hook as everybody else's (entry point ``core``)."""

from __future__ import annotations

from wsssbench.hookspecs import hookimpl
from wsssbench.registry import Registries


@hookimpl
def register(registries: Registries) -> None:
    _register_data(registries)
    _register_models(registries)
    registries.refinement.add(
        "DenseCRF",
        "wsssbench.refinements.dense_crf:DenseCRF",
        summary="fully connected CRF with the literature's presets",
        reference="Krähenbühl & Koltun, NeurIPS 2011",
    )
    registries.refinement.add(
        "AffinityWalk",
        "wsssbench.refinements.affinity_walk:AffinityWalk",
        summary="AffinityNet: learned pixel affinities, then a random walk over the CAMs",
        reference="Ahn & Kwak, CVPR 2018",
    )
    registries.labelling.add(
        "FromScores",
        "wsssbench.labelling.from_scores:FromScores",
        summary="the best class of every pixel; of CAMs, where it exceeds a threshold",
    )
    registries.labelling.add(
        "PredictedLabels",
        "wsssbench.labelling.predicted:PredictedLabels",
        summary="the label maps of another stage, such as an earlier network's predictions",
    )
    registries.segmenter.add(
        "DeepLab",
        "wsssbench.segmenters.deeplab:DeepLab",
        summary="LargeFOV, v2 or v3+ on any registered backbone, trained by mmsegmentation",
        reference="Chen et al., ICLR 2015 / TPAMI 2018 / ECCV 2018",
    )


def _register_data(registries: Registries) -> None:
    registries.dataset.add(
        "SyntheticScenes",
        "wsssbench.datasets.synthetic.dataset:SyntheticScenes",
        summary="generated multi-label scenes with what makes WSSS hard; the embedded default",
    )
    registries.dataset.add(
        "VOC2012",
        "wsssbench.datasets.voc.dataset:VOC2012",
        summary="PASCAL VOC 2012 devkit, plain or AffinityNet-style lists",
        reference="Everingham et al., IJCV 2010",
    )
    registries.dataset.add(
        "COCO2014",
        "wsssbench.datasets.coco.dataset:COCO2014",
        summary="MS-COCO 2014, 80 classes; masks from COCO-Stuff or from the instance files",
        reference="Lin et al., ECCV 2014; Caesar et al., CVPR 2018",
    )
    registries.dataset.add(
        "FolderDataset",
        "wsssbench.datasets.folder.dataset:FolderDataset",
        summary="a folder of images, a CSV or JSON of their labels, masks if there are any",
    )


def _register_models(registries: Registries) -> None:
    registries.backbone.add(
        "EfficientNetLite0",
        "wsssbench.models.efficientnet_lite:EfficientNetLite0",
        summary="ImageNet weights ship with the installation; output stride 32, 16 or 8",
        reference="Tan & Le, ICML 2019 (Lite variant)",
    )
    registries.backbone.add(
        "TorchvisionBackbone",
        "wsssbench.models.torchvision_backbone:TorchvisionBackbone",
        summary="any torchvision classifier (ResNet, VGG, ...) at output stride 16 or 8",
    )
    registries.backbone.add(
        "ResNet38d",
        "wsssbench.models.resnet38d:ResNet38d",
        summary="the wide ResNet38 of the AffinityNet lineage, output stride 8",
        reference="Wu, Shen & van den Hengel, Pattern Recognition 2019",
    )
    registries.backbone.add(
        "SmallResNet",
        "wsssbench.models.small_resnet:SmallResNet",
        summary="a small residual network from random weights, output stride 16, 8 or 4; converged in minutes",
        reference="He et al., CVPR 2016",
    )
    registries.cam.add(
        "MultiScaleCAM",
        "wsssbench.models.multiscale_cam:MultiScaleCAM",
        summary="CAMs summed over scales and flips, normalised by eq. 1",
        reference="Zhou et al., CVPR 2016; Ahn & Kwak, CVPR 2018",
    )

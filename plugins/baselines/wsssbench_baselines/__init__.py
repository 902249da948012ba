"""What methods are compared with: simple poolings and erasings, and published methods, a file each."""

from __future__ import annotations

from wsssbench.hookspecs import hookimpl
from wsssbench.registry import Registries


@hookimpl
def register(registries: Registries) -> None:
    registries.pooling.add(
        "GAP",
        "wsssbench_baselines.gap:GAP",
        summary="global average pooling, the pooling of the original CAM",
        reference="Zhou et al., CVPR 2016",
    )
    registries.erasing.add(
        "RigidErasing",
        "wsssbench_baselines.rigid_erasing:RigidErasing",
        summary="the erased image has to be classified with the original labels",
        reference="Wei et al., CVPR 2017; Yoon et al., ECCV 2022, Table 3",
    )
    registries.stage.add(
        "ClusterFeatures",
        "wsssbench_baselines.methods.sc_cam:ClusterFeatures",
        summary="sub-categories of each class: clusters of a classifier's features",
        reference="SC-CAM: Chang et al., CVPR 2020",
    )
    registries.objective.add(
        "SubCategory",
        "wsssbench_baselines.methods.sc_cam:SubCategory",
        summary="a second head has to tell sub-categories apart",
        reference="SC-CAM: Chang et al., CVPR 2020",
    )
    registries.stage.add(
        "InstanceBank",
        "wsssbench_baselines.methods.cda:InstanceBank",
        summary="objects cut out of photos whose label maps show one class",
        reference="CDA: Su et al., ICCV 2021",
    )
    registries.augmentation.add(
        "ContextDecoupling",
        "wsssbench_baselines.methods.cda:ContextDecoupling",
        summary="each photo again, with an object pasted of a class that it does not have",
        reference="CDA: Su et al., ICCV 2021",
    )
    registries.labelling.add(
        "MinedRegions",
        "wsssbench_baselines.methods.ae_psl:MinedRegions",
        summary="the most active regions, beside those of earlier rounds",
        reference="AE-PSL: Wei et al., CVPR 2017",
    )
    registries.labelling.add(
        "MinedOrBackground",
        "wsssbench_baselines.methods.ae_psl:MinedOrBackground",
        summary="mined regions, background where a CAM is low, and the rest ignored",
        reference="AE-PSL: Wei et al., CVPR 2017",
    )
    registries.augmentation.add(
        "EraseRegions",
        "wsssbench_baselines.methods.ae_psl:EraseRegions",
        summary="photos without the regions that earlier rounds have mined",
        reference="AE-PSL: Wei et al., CVPR 2017",
    )
    registries.cam.add(
        "ErasedCAM",
        "wsssbench_baselines.methods.ae_psl:ErasedCAM",
        summary="multi-scale CAMs of photos without the regions that earlier rounds have mined",
        reference="AE-PSL: Wei et al., CVPR 2017",
    )
    registries.labelling.add(
        "PPMG",
        "wsssbench_baselines.labellings.ppmg:PPMG",
        summary="a CRF for each class, overlaps to the smaller object (PMM)",
        reference="Li et al., ICCV 2021",
    )
    registries.loss.add(
        "PretendedUnderfitting",
        "wsssbench_baselines.losses.pretended_underfitting:PretendedUnderfitting",
        summary="a limit on the loss of pixels, once the network fits (PMM)",
        reference="Li et al., ICCV 2021",
    )
    registries.augmentation.add(
        "RelabelledCrops",
        "wsssbench_baselines.methods.pmm_crops:RelabelledCrops",
        summary="windows of photos with the classes that they show by rough masks (PMM)",
        reference="Li et al., ICCV 2021",
    )
    registries.cam.add(
        "MultiCropCAM",
        "wsssbench_baselines.methods.pmm_crops:MultiCropCAM",
        summary="the mean of the maps of windows of a photo, at several scales (PMM)",
        reference="Li et al., ICCV 2021",
    )
    registries.erasing.add(
        "OCCSE",
        "wsssbench_baselines.erasings.oc_cse:OCCSE",
        summary="what is erased of a class, an ordinary classifier must not see any more",
        reference="Kweon et al., ICCV 2021",
    )
    registries.objective.add(
        "SEAM",
        "wsssbench_baselines.objectives.seam:SEAM",
        summary="maps that move with the image, and a pixel correlation module that makes the CAMs",
        reference="Wang et al., CVPR 2020",
    )
    registries.objective.add(
        "ReCAM",
        "wsssbench_baselines.objectives.recam:ReCAM",
        summary="a second head with softmax over the classes of an image, whose weights re-activate the CAMs",
        reference="Chen et al., CVPR 2022",
    )
    registries.objective.add(
        "PuzzleCAM",
        "wsssbench_baselines.objectives.puzzle:PuzzleCAM",
        summary="the maps of an image's tiles, put together, have to be the maps of the image",
        reference="Jo & Yu, ICIP 2021",
    )
    registries.objective.add(
        "CPN",
        "wsssbench_baselines.objectives.cpn:CPN",
        summary="two images that complete each other have to show, added up, what the whole one shows",
        reference="Zhang et al., ICCV 2021",
    )
    registries.objective.add(
        "ICD",
        "wsssbench_baselines.objectives.icd:ICD",
        summary="within each class, pixels of two kinds are told apart, and a branch learns which are foreground",
        reference="Fan et al., CVPR 2020",
    )
    registries.cam.add(
        "ICDScores",
        "wsssbench_baselines.labellings.icd_seeds:ICDScores",
        summary="ICD's class maps as scores: the sign tells foreground and background, without a threshold",
        reference="Fan et al., CVPR 2020",
    )
    registries.labelling.add(
        "ICDSeeds",
        "wsssbench_baselines.labellings.icd_seeds:ICDSeeds",
        summary="the seeds of ICD's scores, evened out by a CRF over all classes",
        reference="Fan et al., CVPR 2020",
    )
    registries.erasing.add(
        "GAIN",
        "wsssbench_baselines.erasings.gain:GAIN",
        summary="where a class's attention is erased, that class must not be found any more",
        reference="Li et al., CVPR 2018",
    )
    registries.erasing.add(
        "ACoL",
        "wsssbench_baselines.erasings.acol:ACoL",
        summary="a second head learns from the features that the first does not rely on",
        reference="Zhang et al., CVPR 2018",
    )
    registries.erasing.add(
        "SeeNet",
        "wsssbench_baselines.erasings.seenet:SeeNet",
        summary="erased features, with the background's sign turned and no class in the rest; without saliency",
        reference="Hou et al., NeurIPS 2018",
    )
    registries.erasing.add(
        "NOC",
        "wsssbench_baselines.erasings.noc:NOC",
        summary="as OCCSE, with a guide that learns to find the class in what is left (P-NOC with Puzzle-CAM)",
        reference="David et al., 2023",
    )
    registries.refinement.add(
        "PAMR",
        "wsssbench_baselines.refinements.pamr:PAMR",
        summary="scores move along pixels of alike colours: nothing is learned, no CRF library",
        reference="Araslanov & Roth, CVPR 2020",
    )
    registries.pooling.add(
        "NGWP",
        "wsssbench_baselines.poolings.ngwp:NGWP",
        summary="each pixel belongs to classes softly, and these pool their own ones; with the size-focal term",
        reference="Araslanov & Roth, CVPR 2020",
    )
    registries.cam.add(
        "NGWPMasks",
        "wsssbench_baselines.poolings.ngwp:NGWPMasks",
        summary="the masks of NGWP, with a background of their own, over scales and flips",
        reference="Araslanov & Roth, CVPR 2020",
    )
    registries.cam.add(
        "AdvCAM",
        "wsssbench_baselines.cams.advcam:AdvCAM",
        summary="the image climbs a class's score, and the regions that light up on the way are added up",
        reference="Lee et al., CVPR 2021",
    )
    registries.cam.add(
        "RIB",
        "wsssbench_baselines.cams.rib:RIB",
        summary="the weights are tuned to each photo without the sigmoid, and its CAMs on the way are added up",
        reference="Lee et al., NeurIPS 2021",
    )
    registries.cam.add(
        "GradCAM",
        "wsssbench_baselines.cams.grad_cam:GradCAM",
        summary="Grad-CAM, Grad-CAM++, LayerCAM, XGrad-CAM and others, by the package grad-cam",
        reference="Selvaraju et al., ICCV 2017; Chattopadhay et al., WACV 2018; Jiang et al., TIP 2021",
    )
    registries.pooling.add(
        "MaxPooling",
        "wsssbench_baselines.poolings.max_pooling:MaxPooling",
        summary="global max pooling (GMP): the most active place alone counts",
        reference="Oquab et al., CVPR 2015",
    )
    registries.pooling.add(
        "LogSumExp",
        "wsssbench_baselines.poolings.log_sum_exp:LogSumExp",
        summary="log-sum-exp pooling (LSE): a smooth maximum",
        reference="Pinheiro & Collobert, CVPR 2015",
    )
    registries.pooling.add(
        "WILDCAT",
        "wsssbench_baselines.poolings.wildcat:WILDCAT",
        summary="top-k pooling: the places that speak most for a class, and most against it",
        reference="Durand et al., CVPR 2017",
    )
    registries.pooling.add(
        "AttentionPooling",
        "wsssbench_baselines.poolings.attention_pooling:AttentionPooling",
        summary="BES: places at which a channel of the features is active count more",
        reference="Chen et al., ECCV 2020",
    )
    registries.labelling.add(
        "ConfidentSeeds",
        "wsssbench_baselines.labellings.confident_seeds:ConfidentSeeds",
        summary="labels on which CRFs with much and with little background agree, 255 elsewhere (IRN)",
        reference="Ahn et al., CVPR 2019",
    )
    registries.labelling.add(
        "ReliableLabels",
        "wsssbench_baselines.labellings.reliable_labels:ReliableLabels",
        summary="labels of two CRFs where these and the CAM are sure, 255 elsewhere (RRM)",
        reference="Zhang B. et al., AAAI 2020",
    )
    registries.loss.add(
        "BalancedCrossEntropy",
        "wsssbench_baselines.losses.balanced_cross_entropy:BalancedCrossEntropy",
        summary="cross-entropy in which background and foreground weigh the same (AdvCAM, RRM)",
        reference="DSRG: Huang et al., CVPR 2018",
    )
    registries.refinement.add(
        "IRNet",
        "wsssbench_baselines.refinements.irnet:IRNet",
        summary="learned edges between classes, and a random walk that stops at them; its semantic part",
        reference="Ahn et al., CVPR 2019",
    )
    registries.refinement.add(
        "BES",
        "wsssbench_baselines.refinements.bes:BES",
        summary="a network learns boundaries from labels of their own, and IRNet's random walk stops there",
        reference="Chen et al., ECCV 2020",
    )
    registries.refinement.add(
        "SSDD",
        "wsssbench_baselines.refinements.ssdd:SSDD",
        summary="decides pixel by pixel for or against what a CRF changes, by how well that can be foretold; static",
        reference="Shimoda & Yanai, ICCV 2019",
    )

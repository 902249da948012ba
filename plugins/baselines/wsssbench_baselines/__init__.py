"""What methods are compared with: poolings, erasings and objectives of published methods."""

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

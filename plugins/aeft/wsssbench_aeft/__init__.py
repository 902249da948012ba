"""AEFT (Yoon et al., ECCV 2022): Gated Pyramid Pooling and adversarial erasing via triplet."""

from __future__ import annotations

from wsssbench.hookspecs import hookimpl
from wsssbench.registry import Registries


@hookimpl
def register(registries: Registries) -> None:
    registries.pooling.add(
        "GPP",
        "wsssbench_aeft.gpp:GPP",
        summary="Gated Pyramid Pooling; every row of the paper's Table 1 by parameter",
        reference="Yoon et al., ECCV 2022, eq. 2-5",
    )
    registries.erasing.add(
        "AEFT",
        "wsssbench_aeft.triplet:AEFT",
        summary="adversarial erasing via triplet; every row of Tables 2 and 3 by parameter",
        reference="Yoon et al., ECCV 2022, eq. 6-11",
    )
    registries.erasing.add(
        "AEFTReleased",
        "wsssbench_aeft.released:AEFTReleased",
        summary="AEFT as its released code computes it; single differences go back to the paper",
        reference="https://github.com/KAIST-vilab/AEFT, model aeft_gpp, commit 6392780",
    )

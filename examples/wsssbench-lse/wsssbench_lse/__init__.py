"""Log-sum-exp and global max pooling: two poolings between which, and the average, the literature moves."""

from __future__ import annotations

from wsssbench.hookspecs import hookimpl
from wsssbench.registry import Registries


@hookimpl
def register(registries: Registries) -> None:
    registries.pooling.add(
        "LSE",
        "wsssbench_lse.pooling:LSE",
        summary="log-sum-exp pooling: a smooth maximum",
        reference="Pinheiro & Collobert, CVPR 2015",
    )
    registries.pooling.add(
        "GMP",
        "wsssbench_lse.pooling:GMP",
        summary="global max pooling: the most active place alone counts",
        reference="Oquab et al., CVPR 2015",
    )

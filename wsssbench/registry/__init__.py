"""Names of components, their parameters, and the check of what a user gives for these."""

from wsssbench.registry.annotations import (
    Limits,
    is_list,
    part_of,
    ranges,
    takes_none,
    takes_text,
    trials,
    type_text,
)
from wsssbench.registry.components import KINDS, Component, Registries, Registry
from wsssbench.registry.parameters import (
    Parameter,
    artefact_classes,
    called,
    check_parameters,
    check_value,
    initialisers,
    signature_parameters,
)

__all__ = [
    "KINDS",
    "Component",
    "Limits",
    "Parameter",
    "Registries",
    "Registry",
    "artefact_classes",
    "called",
    "check_parameters",
    "check_value",
    "initialisers",
    "is_list",
    "part_of",
    "ranges",
    "signature_parameters",
    "takes_none",
    "takes_text",
    "trials",
    "type_text",
]

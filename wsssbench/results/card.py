"""The protocol card: what has to agree before two numbers may be compared, in the words of tables and pages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from wsssbench.experiment.fingerprint import weight_checksums
from wsssbench.experiment.plan import Plan, Step
from wsssbench.results.run import CardValue
from wsssbench.segmenters.settings import initial_weights
from wsssbench.stages.generate import data_of


def card_of(plan: Plan, step: Step, chosen: Mapping[str, Any]) -> dict[str, CardValue]:
    """The card of an evaluation.

    Args:
        step: the evaluation's.
        chosen: its metrics at the threshold that counts.
    """
    given = step.node.inputs["given"]
    split = step.node.config["split"]
    raw = plan.card(step.node.name)
    held_out = raw.pop("held out", None)
    at_inference = raw.pop("labels_at_inference")
    card: dict[str, CardValue] = {
        "dataset": data_of(plan.config)["type"],
        **plan.dataset.card(),
        "split": split,
        "images": len(plan.dataset.ids(split)),
        "stage": given,
        **dict(_worded(key, value) for key, value in raw.items()),
        "threshold": chosen["threshold"],
        "threshold_choice": chosen["threshold_choice"],
    }
    also = Counter(node.kind.trains for node in plan.trained_for(step.node.name))
    if also:
        card["also trained"] = ", ".join(
            f"{count} {what}{'s' if count > 1 else ''}" for what, count in sorted(also.items())
        )
    if plan.trial:
        few = "that show many classes" if plan.trial.smoke else "in list order"
        card["limited to"] = f"{plan.trial.images} images of each split, {few}"
    if held_out:
        card["held out"] = f"{held_out} ({len(plan.dataset.ids(held_out))} images)"
    return {**card, "labels_at_inference": at_inference, "seed": plan.config["seed"]}


def _worded(key: str, value: Any) -> tuple[str, CardValue]:
    """What a stage says about itself, in words."""
    if key == "imported":
        return "cams", f"imported ({value})"
    if key == "initial weights":
        # Files go by their checksums, too: names do not tell files apart.
        checksums = weight_checksums(value).values()
        return key, ", ".join([initial_weights(value), *(f"SHA-256 {sum}" for sum in checksums)])
    if key == "scales":
        return key, ", ".join(map(str, value)) or "1.0"
    if key == "crf":
        return key, " + ".join(value) or "none"
    if isinstance(value, Mapping) and "type" in value:
        return key, _component(value)
    return key, ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else value


def _component(config: Mapping[str, Any]) -> str:
    """A component as it would be called, ``Name(key=value)``, without the artefacts that it reads."""
    plain = (str, int, float, bool, tuple, list, dict, type(None))
    given = {key: value for key, value in config.items() if isinstance(value, plain)}
    name = given.pop("type")
    return f"{name}({', '.join(f'{key}={value!r}' for key, value in given.items())})"

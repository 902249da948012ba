"""The report on a data set on the terminal: tables of splits and classes, and what else is worth a line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from wsssbench.datasets.check import DatasetReport, SplitReport
from wsssbench.datasets.check_counts import (
    Disagreement,
    LabelCounts,
    Overlap,
    Sizes,
    never_alone,
    strongest_pairs,
)
from wsssbench.datasets.checker import Problem
from wsssbench.files.image_lists import first_few
from wsssbench.stages.stage import SplitUse

MISSING = "–"
PAIRS = 8  # of the co-occurring classes
NAMES = 6  # of classes in one line


def tables(report: DatasetReport, uses: Mapping[str, Sequence[SplitUse]]) -> Iterator[Table]:
    """Yield the tables: splits; image sizes; images per class; pixels per class if there are masks."""
    yield _splits(report, uses)
    if any(split.sizes for split in report.splits):
        yield _sizes(report)
    if any(split.labels for split in report.splits):
        yield _classes(report)
    masked = [split for split in report.splits if split.masks]
    if masked:
        yield _pixels(masked)


def remarks(report: DatasetReport, uses: Mapping[str, Sequence[SplitUse]]) -> Iterator[str]:
    """Yield one line each: co-occurrence in the first split (the training's), odd images and masks, shared images."""
    trained = report.splits[0] if report.splits else None
    if trained is not None and trained.labels is not None:
        yield from _co_occurrence(trained.name, trained.labels)
    for split in report.splits:
        if split.sizes is not None:
            yield from _odd_images(split.name, split.sizes)
        if split.masks is not None:
            for differences, text in (
                (split.masks.only_mask, "in the mask, but not in the labels"),
                (split.masks.only_label, "in the labels, but not in the mask"),
            ):
                if differences:
                    yield f"{split.name}: {text}: {_disagreements(differences)}"
    for overlap in report.overlaps:
        yield _overlap(overlap, uses)
    yield from _duplicates(report)


def first_problems(problems: Sequence[Problem], limit: int) -> list[Problem]:
    """Return the `limit` problems to show: first those that stop a run, and some of every kind."""
    seen: Counter[tuple[str, bool]] = Counter()
    ranked = []
    for i, problem in enumerate(problems):
        ranked.append((not problem.stops, seen[problem.kind, problem.stops], i))
        seen[problem.kind, problem.stops] += 1
    return [
        problems[i] for minor, _, i in sorted(sorted(ranked)[:limit], key=lambda r: (r[0], r[2]))
    ]


def _table(title: str, names: Sequence[str], left: int = 1) -> Table:
    table = Table(
        title=title or None,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    for i, name in enumerate(names):
        table.add_column(
            Text(name), justify="left" if i < left else "right", no_wrap=i != 1 or left == 1
        )
    return table


def _splits(report: DatasetReport, uses: Mapping[str, Sequence[SplitUse]]) -> Table:
    table = _table("", ["split", "use", "images", "labels each", "no class", "masks"], left=2)
    for split in report.splits:
        labels = split.labels
        table.add_row(
            Text(split.name),
            ", ".join(use.text for use in uses[split.name]),
            str(split.images),
            f"{labels.mean:.2f}" if labels else MISSING,
            str(labels.empty) if labels else MISSING,
            str(split.masks.masks) if split.masks else MISSING,
        )
    return table


def _sizes(report: DatasetReport) -> Table:
    table = _table("image sizes: min / median / max", ["split", "height", "width"])
    for split in report.splits:
        if split.sizes is not None:
            height, width = split.sizes.height, split.sizes.width
            table.add_row(Text(split.name), *(" / ".join(map(str, x)) for x in (height, width)))
    return table


def _classes(report: DatasetReport) -> Table:
    known = [(split.name, split.images, split.labels) for split in report.splits if split.labels]
    table = _table("images per class", ["class", *(name for name, _, _ in known)])
    for name in report.classes:
        counts = [(labels.images[name], images) for _, images, labels in known]
        if any(count for count, _ in counts):
            cells = [f"{count} {100 * count / images:5.1f}%" for count, images in counts]
            table.add_row(Text(name), *cells)
    return table


def _pixels(splits: Sequence[SplitReport]) -> Table:
    table = _table("share of the masks' pixels", ["class", *(split.name for split in splits)])
    shares = [split.masks.pixels for split in splits if split.masks]
    for name in shares[0]:
        if any(share[name] for share in shares):
            label = "ignore (255)" if name == "ignore" else name
            table.add_row(Text(label), *(f"{100 * share[name]:.2f}%" for share in shares))
    return table


def _co_occurrence(split: str, counts: LabelCounts) -> Iterator[str]:
    absent = [name for name, count in counts.images.items() if not count]
    if absent:
        yield f"{split}: no image of {_names(absent)}"
    pairs = strongest_pairs(counts)[:PAIRS]
    if pairs:
        yield f"{split}: classes that come together most"
    for pair in pairs:
        (first, second), (one, other) = pair.names, pair.shares
        yield (
            f"  {first} + {second}: {pair.together} images, {one:.0%} of those of {first}, "
            f"{other:.0%} of those of {second}"
        )
    lonely = never_alone(counts)
    always = [(name, others) for name, others in lonely if others]
    if lonely:
        yield (
            f"{split}: never the only class of an image: {_names([name for name, _ in lonely])}: "
            "image-level labels tell little about where they are"
        )
    for name, others in always:
        yield f"  {name} never without {' and '.join(others)}: labels cannot tell them apart"


_MODES = {"L": "greyscale", "P": "palette", "RGBA": "with transparency", "I;16": "16-bit greyscale"}


def _odd_images(split: str, sizes: Sizes) -> Iterator[str]:
    odd = {mode: count for mode, count in sizes.modes.items() if mode != "RGB"}
    if odd:
        listed = ", ".join(f"{count} {_MODES.get(mode, mode)}" for mode, count in odd.items())
        yield f"{split}: {listed} (read as RGB)"
    if sizes.unended:
        yield f"{split}: {sizes.unended} JPEG without its end marker; all of its pixels are there"
    if sizes.rotated:
        yield f"{split}: {sizes.rotated} with an EXIF rotation, which is ignored everywhere"


def _disagreements(differences: Sequence[Disagreement]) -> str:
    ordered = sorted(differences, key=lambda d: -d.images)
    shown = ", ".join(f"{d.name} in {d.images} (e.g. {d.ids[0]})" for d in ordered[:NAMES])
    return shown + (f" and {len(ordered) - NAMES} more classes" if len(ordered) > NAMES else "")


def _overlap(overlap: Overlap, uses: Mapping[str, Sequence[SplitUse]]) -> str:
    first, second = overlap.splits
    if overlap.inside:
        other = second if overlap.inside == first else first
        text = f"all {overlap.images} images of {overlap.inside} are in {other}"
    else:
        text = f"{first} and {second} share {overlap.images} images: {first_few(overlap.ids)}"
    for trained, other in (overlap.splits, overlap.splits[::-1]):
        if any(use.trains for use in uses[trained]):
            text += "".join(use.shared for use in uses[other])
    return text


def _duplicates(report: DatasetReport) -> Iterator[str]:
    for across, text in (
        (True, "the same file under different ids in different splits"),
        (False, "the same file under different ids in one split"),
    ):
        groups = [group for group in report.duplicates if group.across == across]
        if groups:
            shown = "; ".join(" = ".join(group.ids[:4]) for group in groups[:3])
            more = f" and {len(groups) - 3} more" if len(groups) > 3 else ""
            yield f"{text}: {len(groups)} times: {shown}{more}"


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(names[:NAMES])
    return shown + (f" and {len(names) - NAMES} more" if len(names) > NAMES else "")

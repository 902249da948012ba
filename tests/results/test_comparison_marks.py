from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from comparing import cell, of, one_rung, said

from wsssbench.results.collection import Collection


@pytest.fixture
def one(tmp_path: Path) -> Collection:
    return one_rung(tmp_path)


def with_rungs(collection: Collection, row: str, **changes) -> Collection:
    """`collection` whose runs of `row` have other entries on their cards."""

    def changed(member):
        if member.row != row:
            return member
        rungs = [
            dataclasses.replace(r, card={**r.card, **changes}) for r in member.result.evaluations
        ]
        return dataclasses.replace(
            member, result=dataclasses.replace(member.result, evaluations=rungs)
        )

    return dataclasses.replace(collection, members=tuple(map(changed, collection.members)))


def test_a_row_of_another_protocol_is_noted_and_does_not_compete(one):
    assert [line.cells[0].rank for line in of(one).lines] == [0, 2, 1, 0]
    found = of(with_rungs(one, "AEFT", scales="1.0", flip=False))
    aeft = cell(found, "AEFT", "mIoU")
    assert said(found, aeft.notes) == [
        "protocol differs from GAP: scales 1.0 instead of 0.5, 1.0; flip no instead of yes"
    ]
    assert [line.cells[0].rank for line in found.lines] == [0, 1, 0, 0]


def test_how_the_threshold_was_chosen_is_the_protocol_of_what_depends_on_it(one):
    found = of(with_rungs(one, "AEFT", threshold_choice="heldout"))
    notes = [said(found, c.notes) for c in found.lines[2].cells]
    assert notes[0] == ["protocol differs from GAP: threshold choice heldout instead of fixed"]
    assert notes[3] == [] and found.layout.columns[3] == "oracle mIoU"


def test_runs_of_one_row_with_different_protocols_do_not_compete(one):
    odd = one.of("GPP")[1]
    rungs = [dataclasses.replace(r, card={**r.card, "flip": False}) for r in odd.result.evaluations]
    changed = dataclasses.replace(odd, result=dataclasses.replace(odd.result, evaluations=rungs))
    members = tuple(changed if m is odd else m for m in one.members)
    found = of(dataclasses.replace(one, members=members))
    gpp = cell(found, "GPP", "mIoU")
    assert gpp.rank == 0
    assert said(found, gpp.notes) == [
        "averaged over runs of different protocols: flip no instead of yes"
    ]


def test_the_papers_numbers_stand_beside_ours_and_say_what_differs(one):
    found = of(one)
    assert cell(found, "GPP", "mIoU").paper == 54.2
    assert cell(found, "GPP", "precision").paper == 66.5
    assert cell(found, "AEFT", "mIoU").paper is None
    assert cell(found, "GPP", "oracle mIoU").paper is None  # the asked metric has it
    assert said(found, cell(found, "GPP", "mIoU").paper_notes) == [
        "the paper's protocol differs: dataset VOC2012 instead of SyntheticScenes; images 1464 instead of 40; "
        "threshold choice oracle instead of fixed"
    ]
    oracle = of(one, metric="oracle")
    assert cell(oracle, "GPP", "oracle mIoU").paper == 54.2
    assert "threshold choice" not in said(oracle, cell(oracle, "GPP", "oracle mIoU").paper_notes)[0]


def test_a_row_of_the_paper_alone_has_its_number_and_the_tables_note(one):
    found = of(one)
    conta = cell(found, "CONTA", "mIoU")
    assert conta.stat is None and conta.paper == 56.2 and conta.difference is None
    assert conta.paper_notes == cell(found, "GPP", "mIoU").paper_notes
    assert next(line.n for line in found.lines if line.name == "CONTA") == 0


@pytest.mark.parametrize(
    ("card", "says"),
    [
        ({"dataset": "SyntheticScenes", "images": 40, "flip": True}, ""),
        ({"backbone": "EfficientNetLite0"}, ""),
        ({"backbone": "ResNet38d"}, "backbone ResNet38d instead of EfficientNetLite0"),
        ({"classifier.schedule.lr": 0.1}, "classifier.schedule.lr 0.1 instead of 0.01"),
        ({"cams": "imported (psa)"}, "cams imported (psa) instead of none"),
        ({"venue": "ECCV"}, ""),  # neither a card's nor a config's
    ],
)
def test_which_entries_of_the_papers_card_count(one, card, says):
    found = of(dataclasses.replace(one, paper_card=card))
    notes = said(found, cell(found, "GPP", "mIoU").paper_notes)
    assert notes == ([f"the paper's protocol differs: {says}"] if says else [])

"""The gate: what breaks a limit, what is too little to judge, and that nothing passes in silence."""

from __future__ import annotations

import dataclasses
import math

import pytest

from agewise_lab.evaluation.gate import Limits, Verdict, judge
from agewise_lab.evaluation.measures import Figure


def figure(measure: str, value: float, *, count: int = 200, half: float = 0.0, **subset: str) -> Figure:
    place = {"band": None, "sex": None, "group": None} | subset
    return Figure(
        **place,
        measure=measure,
        count=count,
        subjects=count,
        value=value,
        low=value - half,
        high=value + half,
        method="bootstrap",
    )


def states(verdicts: tuple[Verdict, ...]) -> dict[str, str]:
    return {verdict.subset: verdict.state for verdict in verdicts}


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        (Limits(max_mae=5), {"all": "holds", "61-75": "fails", "female": "holds", "Asian": "holds"}),
        (Limits(max_mae=9), {"all": "holds", "61-75": "holds", "female": "holds", "Asian": "holds"}),
        (Limits(max_mae=5, strict=True), {"all": "fails", "61-75": "fails", "female": "holds", "Asian": "fails"}),
        (Limits(max_mae=5, least=150), {"all": "holds", "61-75": "too few", "female": "holds", "Asian": "holds"}),
        (
            Limits(max_mae=9, least=150, strict=True),
            {"all": "holds", "61-75": "fails", "female": "holds", "Asian": "holds"},
        ),
    ],
)  # fmt: skip
def test_a_limit_for_every_group(limits: Limits, expected: dict[str, str]) -> None:
    table = [
        figure("mae", 4.8, half=0.3),
        figure("mae", 8.0, band="61-75", count=120, half=0.5),
        figure("mae", 4.0, sex="female", half=0.9),
        figure("mae", 5.0, group="Asian", half=0.4),
        figure("mae", 99.0, sex="female", group="Asian"),  # a crossing is judged when asked
    ]
    assert states(judge(table, limits)) == expected


def test_crossings_are_judged_when_asked() -> None:
    table = [figure("mae", 4.0), figure("mae", 9.0, sex="female", group="Asian")]
    assert "female, Asian" not in states(judge(table, Limits(max_mae=5)))
    assert states(judge(table, Limits(max_mae=5, crossings=True)))["female, Asian"] == "fails"


def test_bias_breaks_its_limit_either_way() -> None:
    table = [figure("bias", 1.0, half=0.5), figure("bias", -3.0, half=0.5, sex="female")]
    low, high = judge(table, Limits(max_bias=2))
    assert (low.state, high.state) == ("holds", "fails")
    assert (high.value, high.low, high.high) == (3.0, 2.5, 3.5)


def test_coverage_has_a_least_and_strict_looks_at_its_lower_end() -> None:
    table = [figure("coverage", 0.9, half=0.01), figure("coverage", 0.86, half=0.02, band="17")]
    assert states(judge(table, Limits(min_coverage=0.85))) == {"all": "holds", "17": "holds"}
    assert states(judge(table, Limits(min_coverage=0.85, strict=True))) == {"all": "holds", "17": "fails"}
    assert states(judge(table, Limits(min_coverage=0.88))) == {"all": "holds", "17": "fails"}


def test_a_gap_is_to_the_best_of_its_kind_and_bands_are_no_groups() -> None:
    table = [
        figure("mae", 5.0),
        figure("mae", 2.0, band="0-3"),
        figure("mae", 5.5, half=0.3, sex="female"),
        figure("mae", 4.5, half=0.4, sex="male"),
        figure("mae", 6.0, group="Asian"),
        figure("mae", 4.0, group="White"),
        figure("mae", 1.0, group="other", count=50),  # too few to be the best
    ]
    made = {verdict.subset: verdict for verdict in judge(table, Limits(max_gap=1.5))}
    assert {name: verdict.state for name, verdict in made.items()} == {
        "female": "holds", "male": "holds", "Asian": "fails", "White": "holds", "other": "too few",
    }  # fmt: skip
    assert made["Asian"].value == pytest.approx(2.0)
    assert made["Asian"].beside == "6 against 4 of White"
    # 0.3 of one and 0.4 of the other: a difference's interval is their hypotenuse
    assert (made["female"].low, made["female"].high) == (pytest.approx(0.5), pytest.approx(1.5))
    assert (made["male"].value, made["male"].low, made["male"].high) == (0, 0, 0)


def test_a_gap_of_shares_looks_down() -> None:
    table = [
        dataclasses.replace(figure("gender_accuracy", 0.8, group="Asian"), low=0.7, high=0.84),
        dataclasses.replace(figure("gender_accuracy", 0.95, group="White"), low=0.92, high=0.96),
    ]
    asian, white = judge(table, Limits(max_gender_gap=0.1))
    assert (asian.state, white.state) == ("fails", "holds")
    assert asian.value == pytest.approx(0.15)
    assert asian.low == pytest.approx(0.15 - math.hypot(0.95 - 0.92, 0.84 - 0.8))
    assert asian.high == pytest.approx(0.15 + math.hypot(0.96 - 0.95, 0.8 - 0.7))


def test_both_directions_stand_side_by_side() -> None:
    table = [figure("challenge25_fpr17", 0.3), figure("challenge25_fnr", 0.55, count=300)]
    (verdict,) = judge(table, Limits(max_fpr17=0.2))
    assert verdict.state == "fails"
    assert verdict.beside == "challenge25_fnr 0.55 (300 faces)"


def test_a_group_without_a_figure_is_named() -> None:
    table = [figure("found", 1.0), figure("found", 1.0, group="Asian"), figure("challenge25_fpr17", 0.1)]
    everyone, asian = judge(table, Limits(max_fpr17=0.2))
    assert (everyone.state, asian.subset, asian.state, asian.count) == ("holds", "Asian", "too few", 0)


@pytest.mark.parametrize(
    ("table", "why"),
    [
        ([figure("mae", 4.0, count=30), figure("mae", 4.0, count=20, sex="female")], "no group has faces enough"),
        ([], "the result has no such figure"),
    ],
)
def test_what_nobody_can_be_judged_by_fails(table: list[Figure], why: str) -> None:
    verdict = judge(table, Limits(max_mae=5))[-1]
    assert (verdict.state, verdict.beside) == ("fails", why)


def test_one_group_alone_has_no_gap() -> None:
    few, failed = judge([figure("mae", 4.0, sex="male")], Limits(max_gap=1))
    assert (few.state, few.beside) == ("too few", "nobody to be compared with")
    assert failed.state == "fails"


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({}, "nothing to judge by: give at least one of max_gap"),
        ({"min_coverage": 90}, "min_coverage must be a share, 0 to 1, got 90"),
        ({"max_gap": -1}, "max_gap must be years, 0 or more, got -1"),
        ({"max_gap": math.nan}, "max_gap must be years"),
        ({"max_gap": 1, "least": 0}, "least must be at least 1 face, got 0"),
    ],
)
def test_limits_that_make_no_sense(asked: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Limits(**asked)

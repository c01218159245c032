"""The long table: each measure as its own function gives it, each subset as its rows, each interval of its kind."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from agewise_lab.evaluation import measures
from agewise_lab.evaluation.measures import AGE_BANDS, MEASURES, Faces, Figure, measure_table
from agewise_lab.evaluation.measures.rates import binomial_interval


def _faces(count: int = 600, seed: int = 0, **changes: object) -> Faces:
    rng = np.random.default_rng(seed)
    truths = rng.integers(0, 90, count).astype(float)
    estimates = truths + rng.normal(1, 6, count)
    half = rng.uniform(6, 12, count)
    female = rng.integers(0, 2, count).astype(float)
    columns = {
        "estimates": estimates,
        "truths": truths,
        "is_female": female,
        "female_probability": np.clip(0.2 + 0.6 * female + rng.normal(0, 0.25, count), 0, 1),
        "low": estimates - half,
        "high": estimates + half,
        "group": rng.choice(["Asian", "Black", ""], count),
        "answered": half < 11,
        "apparent": truths + rng.normal(0, 2, count),
        "apparent_std": rng.uniform(2, 5, count),
        "classes": rng.integers(0, 8, count),
        "class_estimates": rng.integers(0, 8, count),
        "in_top2": rng.random(count) < 0.5,
        "gender_sure": rng.random(count) < 0.7,
    }
    return Faces(**(columns | changes))


@pytest.fixture(scope="module")
def faces() -> Faces:
    return _faces()


@pytest.fixture(scope="module")
def table(faces: Faces) -> dict[tuple[str, str], Figure]:
    return {(figure.name, figure.measure): figure for figure in measure_table(faces, rounds=200)}


def _expected(f: Faces) -> dict[str, float]:
    """Every measure by the functions of single measures."""
    female = np.asarray(f.is_female) == 1
    age = np.floor(f.truths)
    return {
        "found": 1.0,
        "mae": measures.mean_absolute_error(f.estimates, f.truths),
        "rmse": measures.root_mean_square_error(f.estimates, f.truths),
        "bias": measures.bias(f.estimates, f.truths),
        **{f"cs{n}": measures.cumulative_score(f.estimates, f.truths, n) for n in (3, 5, 7, 10)},
        "mae_apparent": measures.mean_absolute_error(f.estimates, f.apparent),
        "epsilon_error": measures.epsilon_error(f.estimates, f.apparent, f.apparent_std),
        "exact": measures.exact_accuracy(f.class_estimates, f.classes),
        "one_off": measures.one_off_accuracy(f.class_estimates, f.classes),
        "top2": float(f.in_top2.mean()),
        "coverage": measures.coverage(f.low, f.high, f.truths),
        "truth_below": float((f.truths < f.low).mean()),
        "truth_above": float((f.truths > f.high).mean()),
        "width": measures.mean_width(f.low, f.high),
        "interval_score": measures.interval_score(f.low, f.high, f.truths, 0.9),
        "gender_accuracy": measures.accuracy(f.female_probability, female),
        "gender_sure": float(f.gender_sure.mean()),
        "gender_sure_accuracy": measures.accuracy(f.female_probability[f.gender_sure], female[f.gender_sure]),
        "gender_balanced": measures.balanced_accuracy(f.female_probability, female),
        "gender_auc": measures.area_under_curve(f.female_probability, female),
        "gender_ece": measures.expected_calibration_error(f.female_probability, female),
        "challenge25_fpr17": float((f.estimates[age == 17] >= 25).mean()),
        "challenge25_fnr": float((f.estimates[(age >= 18) & (age <= 30)] < 25).mean()),
        "over18_fpr": float((f.estimates[(age >= 14) & (age <= 17)] >= 18).mean()),
        "over18_fnr": float((f.estimates[(age >= 18) & (age <= 30)] < 18).mean()),
        "declined": float((~f.answered).mean()),
        "mae_answered": measures.mean_absolute_error(f.estimates[f.answered], f.truths[f.answered]),
    }


def test_every_measure_of_the_whole(faces: Faces, table: dict[tuple[str, str], Figure]) -> None:
    expected = _expected(faces)
    assert set(expected) == {measure.name for measure in MEASURES}
    for name, value in expected.items():
        assert table["all", name].value == pytest.approx(value), name


@pytest.mark.parametrize(
    "subset", ["18-30", "female", "Black", "61-75, male", "9-12, Asian", "female, Asian", "18-30, male, Black"]
)
def test_every_measure_of_a_subset(faces: Faces, table: dict[tuple[str, str], Figure], subset: str) -> None:
    rows = np.ones(len(faces), dtype=bool)
    bands = {name: (first, last) for name, first, last in AGE_BANDS}
    for part in subset.split(", "):
        if part in bands:
            rows &= (faces.truths >= bands[part][0]) & (faces.truths <= bands[part][1])
        else:
            of_sex = np.asarray(faces.is_female) == (part == "female")
            rows &= of_sex if part in ("female", "male") else faces.group == part
    for name, value in _some(faces.select(rows)).items():
        assert table[subset, name].value == pytest.approx(value), name
        assert table[subset, name].count == rows.sum()


def _some(f: Faces) -> dict[str, float]:
    female = np.asarray(f.is_female) == 1
    return {
        "mae": measures.mean_absolute_error(f.estimates, f.truths),
        "bias": measures.bias(f.estimates, f.truths),
        "rmse": measures.root_mean_square_error(f.estimates, f.truths),
        "coverage": measures.coverage(f.low, f.high, f.truths),
        "width": measures.mean_width(f.low, f.high),
        "gender_accuracy": measures.accuracy(f.female_probability, female),
        "gender_ece": measures.expected_calibration_error(f.female_probability, female),
        "declined": float((~f.answered).mean()),
    }


def test_the_order_and_all_crossings(faces: Faces) -> None:
    names = list(dict.fromkeys(figure.name for figure in measure_table(faces, measures=["mae"], rounds=10)))
    assert names[:4] == ["all", "0-3", "4-8", "9-12"]
    assert len(names) == (10 + 1) * (2 + 1) * (2 + 1)  # as no crossing is empty here
    assert names[-1] == "76+, male, Black"
    alone = measure_table(faces, measures=["mae"], by=["sex", "group"], crossings=False, rounds=10)
    assert [figure.name for figure in alone] == ["all", "female", "male", "Asian", "Black"]


def test_a_measure_of_a_subset_that_has_none_is_left_out(table: dict[tuple[str, str], Figure]) -> None:
    assert ("female", "gender_balanced") not in table
    assert ("female", "gender_auc") not in table
    assert ("31-45", "challenge25_fpr17") not in table
    assert ("17", "challenge25_fpr17") in table


def test_measures_without_columns_are_left_out() -> None:
    bare = measure_table(Faces(estimates=np.array([1.0, 2.0]), truths=np.array([2.0, 2.0])), rounds=10)
    assert {figure.measure for figure in bare if figure.name == "all"} == {
        "found", "mae", "rmse", "bias", "cs3", "cs5", "cs7", "cs10",
    }  # fmt: skip


def test_faces_that_were_not_found_count_for_found_only() -> None:
    faces = Faces(estimates=np.array([1.0, np.nan, 4.0, 2.0]), truths=np.array([2.0, 2.0, 2.0, np.nan]))
    made = {figure.measure: figure for figure in measure_table(faces, rounds=50) if figure.name == "all"}
    assert (made["found"].value, made["found"].count) == (0.75, 4)
    assert (made["mae"].value, made["mae"].count) == (1.5, 2)


def test_kinds_of_intervals(faces: Faces, table: dict[tuple[str, str], Figure]) -> None:
    assert table["all", "mae"].method == "bootstrap"
    assert table["all", "gender_auc"].method == "delong"
    held = table["female", "coverage"]
    assert held.method == "clopper-pearson"
    assert (held.low, held.high) == binomial_interval(round(held.value * held.count), held.count)
    everyone = table["all", "found"]  # all found: a bootstrap would say «certainly»
    assert (everyone.method, everyone.high) == ("clopper-pearson", 1.0)
    assert everyone.low == pytest.approx(0.025 ** (1 / 600))


def test_intervals_agree_with_the_normal_law(faces: Faces) -> None:
    figure = next(iter(measure_table(faces, measures=["mae"], by=(), rounds=2000)))
    errors = np.abs(faces.estimates - faces.truths)
    reach = 1.96 * errors.std() / math.sqrt(len(errors))
    assert (figure.low, figure.high) == pytest.approx((errors.mean() - reach, errors.mean() + reach), abs=0.05)


def test_people_make_intervals_wider_and_are_counted() -> None:
    rng = np.random.default_rng(1)
    person = np.repeat(np.arange(40), 10)
    truths = np.full(400, 30.0)
    estimates = truths + np.repeat(rng.normal(0, 5, 40), 10)
    answered = np.repeat(rng.random(40) < 0.8, 10)
    columns = {"estimates": estimates, "truths": truths, "answered": answered}
    alone = measure_table(Faces(**columns), by=(), rounds=500)
    known = measure_table(Faces(**columns, subjects=person), by=(), rounds=500)
    a, b = ({figure.measure: figure for figure in figures} for figures in (alone, known))
    assert (a["mae"].subjects, b["mae"].subjects, b["mae"].count) == (400, 40, 400)
    assert b["mae"].high - b["mae"].low > 2 * (a["mae"].high - a["mae"].low)
    assert (a["declined"].method, b["declined"].method) == ("clopper-pearson", "bootstrap")
    assert b["found"].low == pytest.approx(0.025 ** (1 / 40))  # people, not faces
    assert b["mae_answered"].subjects == answered[::10].sum()


def test_people_are_counted_in_each_subset() -> None:
    faces = Faces(
        estimates=np.zeros(5),
        truths=np.array([1.0, 1.0, 5.0, 5.0, 5.0]),
        is_female=np.array([1.0, 1.0, 1.0, 0.0, np.nan]),
        subjects=np.array(["a", "a", "a", "b", ""]),
    )
    made = {f.name: f.subjects for f in measure_table(faces, measures=["mae"], rounds=10)}
    one = ("0-3", "female", "male", "0-3, female", "4-8, female", "4-8, male")
    assert made == {"all": 3, "4-8": 3} | dict.fromkeys(one, 1)


def test_one_person_has_no_interval() -> None:
    made = measure_table(Faces(estimates=np.array([1.0]), truths=np.array([2.0])), measures=["mae"], by=(), rounds=10)
    assert (made[0].value, math.isnan(made[0].low), math.isnan(made[0].high)) == (1.0, True, True)


def test_the_same_seed_gives_the_same_table(faces: Faces) -> None:
    def ends(seed: int) -> list[tuple[float, float]]:
        return [(f.low, f.high) for f in measure_table(faces, measures=["mae"], by=["sex"], rounds=50, seed=seed)]

    assert ends(0) == ends(0)
    assert ends(0) != ends(1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"measures": ["mea"]}, "unknown measure 'mea': did you mean 'mae'?"),
        ({"measures": ["coverage"]}, "the measure 'coverage' needs low, high, which the faces do not have"),
        ({"by": ["race"]}, "unknown dimension 'race'"),
    ],
)
def test_what_cannot_be_measured(arguments: dict[str, list[str]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        measure_table(Faces(estimates=np.zeros(2), truths=np.zeros(2)), **arguments)
    with pytest.raises(ValueError, match="there are no faces to measure"):
        measure_table(Faces(estimates=np.zeros(0)))


def test_the_document_has_every_measure() -> None:
    text = (Path(__file__).parents[4] / "docs" / "evaluation-measures.md").read_text(encoding="utf-8")
    assert [measure.name for measure in MEASURES if f"`{measure.name}`" not in text] == []
    functions = ("risk_coverage", "paired_test", "online_safety", "challenge_grid", "trade_off", "mae_by_age_and_sex")
    assert [name for name in functions if f"`{name}" not in text] == []

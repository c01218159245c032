"""Repeated halves: no face on both sides, and the coverage of a known law."""

from __future__ import annotations

import numpy as np
import pytest

from agewise.calibrate import Labelled, calibrate
from agewise.card import ExpectationAge, RegressionAge
from agewise_lab.evaluation import halves
from agewise_lab.evaluation.halves import age_groups, intervals_of, repeated_halves, sets_of

AGES = ExpectationAge(output="p", class_ages=tuple(float(age) for age in range(0, 101, 5)))


def make_faces(count: int, seed: int = 0) -> Labelled:
    """Truths on the classes; the estimate errs by a normal draw of 6 years, the distribution says 4."""
    rng = np.random.default_rng(seed)
    truths = rng.integers(1, 19, count) * 5.0
    years = truths + 6 * rng.standard_normal(count)
    probs = np.exp(-0.5 * ((np.array(AGES.class_ages) - years[:, None]) / 4) ** 2)
    return Labelled(
        years=years,
        std_years=np.full(count, 4.0),
        truths=truths,
        probs_over_ages=probs / probs.sum(axis=1, keepdims=True),
    )


def test_halves_hold_the_level_overall_and_in_groups() -> None:
    faces = make_faces(800)
    rows = age_groups(faces.truths)
    held = repeated_halves(faces, np.arange(800), rows, AGES, kinds=("label-conditional", "plain"), repeats=12)
    assert [result.kind for result in held] == ["label-conditional", "plain", "set"]
    for result in held:
        assert result.coverage["all"] == pytest.approx(0.9, abs=0.03)
        assert result.counts["all"] == 800
        assert 0 < result.deviation < 0.05
        assert result.width["all"] > 10
    assert {name for name in held[0].coverage if name != "all"} == {n for n, r in rows.items() if r.any()} - {"all"}


def test_a_face_is_never_on_both_sides(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each face is there twice, with the same truth: no truth of the fitted half may be measured."""
    once = Labelled(years=np.arange(60.0), std_years=np.ones(60), truths=np.arange(60.0))
    twice = Labelled(years=np.tile(once.years, 2), std_years=np.ones(120), truths=np.tile(once.truths, 2))
    fitted: list[set[float]] = []
    measured: list[set[float]] = []
    calibrate_really, intervals_really = halves.calibrate, halves.intervals_of

    def spy_calibrate(faces: Labelled, *rest: object, **named: object) -> object:
        fitted.append(set(faces.truths.tolist()))
        return calibrate_really(faces, *rest, **named)  # type: ignore[arg-type]

    def spy_intervals(faces: Labelled, *rest: object) -> object:
        measured.append(set(faces.truths.tolist()))
        return intervals_really(faces, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(halves, "calibrate", spy_calibrate)
    monkeypatch.setattr(halves, "intervals_of", spy_intervals)
    groups = {"all": np.ones(120, dtype=bool)}
    repeated_halves(twice, np.tile(np.arange(60), 2), groups, RegressionAge(output="a"), repeats=4)
    assert len(fitted) == 4
    assert all(len(a) == 30 and not a & b for a, b in zip(fitted, measured, strict=True))
    assert fitted[0] == measured[1], "the second repeat takes the same halves the other way round"


def test_the_same_seed_gives_the_same_figures() -> None:
    faces = make_faces(120)
    groups = {"all": np.ones(120, dtype=bool)}
    runs = [repeated_halves(faces, np.arange(120), groups, AGES, repeats=2, seed=seed) for seed in (1, 1, 2)]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


def test_intervals_and_sets_are_those_that_serve() -> None:
    faces = make_faces(200)
    calibration = calibrate(faces, AGES, "x")
    low, high = intervals_of(faces, calibration, 0.9)
    assert ((low <= faces.years) & (faces.years <= high)).all()
    assert ((low <= faces.truths) & (faces.truths <= high)).mean() >= 0.9
    found = sets_of(faces, calibration, AGES, 0.9)
    assert found is not None
    assert found[0].mean() >= 0.9
    assert (found[1] >= 0).all()
    bare = calibration.model_copy(update={"sets": ()})
    assert sets_of(faces, bare, AGES, 0.9) is None

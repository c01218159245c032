"""From tables to the figures that papers report: by hand on a few faces each."""

from __future__ import annotations

import math

import numpy as np
import pytest

from agewise_lab.evaluation.nist import nist_figures
from agewise_lab.evaluation.predictions import Predictions
from agewise_lab.evaluation.protocols import AgeClasses, find_protocol
from agewise_lab.evaluation.protocols.adience import CLASSES
from agewise_lab.evaluation.protocols.fairface import CLASSES as NINE
from agewise_lab.evaluation.result import ProtocolUsed, Result, evaluate_tables
from agewise_lab.evaluation.scoring import class_columns, comparisons, faces_of

NAN = float("nan")
USED = ProtocolUsed(name="p", title="t", source="s", part="test")


def _evaluated(table: Predictions, protocol: str) -> dict[str, float]:
    chosen = find_protocol(protocol)
    result = evaluate_tables({"m": table}, USED, measures=chosen.headline, classes=chosen.classes)
    return {one.measure: one.value for one in result.models[0].headlines}


def test_adience_of_a_model_that_gives_years() -> None:
    # Classes by the boundaries 3.5, 7.5, 14, 23, 35.5, 46, 57: right, one off, two off, right, not found.
    table = Predictions.of(
        {
            "name": ["a", "b", "c", "d", "e"],
            "truth_low": [0, 8, 60, 25, 4],
            "truth_high": [2, 12, 100, 32, 6],
            "years": [3.0, 14.0, 40.0, 35.0, NAN],
            "is_female": [1, 0, 1, 0, 1],
            "female_probability": [0.9, 0.8, 0.7, 0.1, NAN],
            "split": ["fold 0", "fold 0", "fold 1", "fold 1", "fold 1"],
        }
    )
    columns = class_columns(table, CLASSES)
    assert columns.truths.tolist() == [0, 2, 7, 4, 1]
    assert columns.estimates.tolist() == [0, 3, 5, 4, -1]
    assert columns.in_top2 is None
    assert _evaluated(table, "adience") == {"exact": 0.5, "one_off": 0.75, "gender_accuracy": 0.75}


def test_adience_over_its_folds() -> None:
    table = Predictions.of(
        {
            "name": list("abcdef"),
            "truth_low": [0] * 6,
            "truth_high": [2] * 6,
            "years": [1, 1, 9, 9, 1, 9],
            "split": ["0", "0", "1", "1", "2", "2"],
        }
    )
    chosen = find_protocol("adience")
    result = evaluate_tables({"m": table}, USED, measures=("exact",), classes=chosen.classes)
    (exact,) = result.models[0].headlines
    # By fold 1, 0, 0.5: mean 0.5, deviation 0.5.
    assert (exact.value, exact.folds, exact.fold_mean, exact.fold_std) == (0.5, 3, 0.5, 0.5)


def test_classes_and_top2_of_a_model_over_bins() -> None:
    bins = [[0, 2], [4, 6], [8, 12], [15, 20], [25, 32], [38, 43], [48, 53], [60, 99]]
    probs = np.zeros((3, 8))
    probs[0, [0, 2]] = 0.6, 0.4  # right at once
    probs[1, [0, 7, 3]] = 0.4, 0.35, 0.25  # second likeliest is right, and no neighbour
    probs[2, [5, 6, 4]] = 0.5, 0.3, 0.2  # the neighbour, but not among the two
    table = Predictions.of(
        {
            "name": ["a", "b", "c"],
            "truth_low": [0, 60, 25],
            "truth_high": [2, 100, 32],
            "years": (probs @ np.mean(bins, axis=1)).tolist(),
        },
        probs_over_ages=probs,
        class_years=bins,
    )
    figures = _evaluated(table, "adience")
    assert figures == pytest.approx({"exact": 1 / 3, "one_off": 2 / 3, "top2": 2 / 3})


def test_a_model_that_names_classes_alone() -> None:
    table = Predictions.of({"name": ["a", "b"], "truth": [1.0, 15.0], "class_id": [0, 3]})
    assert _evaluated(table, "fairface") == {"exact": 0.5, "one_off": 1.0}
    with pytest.raises(ValueError, match="class_id goes from 0 to 8 .*, got 9"):
        class_columns(Predictions.of({"name": ["a"], "truth": [1.0], "class_id": [9]}), NINE)


def test_distributions_over_single_ages_are_summed_by_class() -> None:
    ages = np.arange(101)
    mass = CLASSES.mass(np.eye(101)[[3, 4, 13, 14, 100]], np.stack([ages, ages], axis=1))
    assert mass.argmax(axis=1).tolist() == [0, 1, 2, 3, 7]
    assert mass.sum(axis=1).tolist() == [1] * 5


def test_megaage_counts_errors_of_at_most_3_5_and_7_years() -> None:
    table = Predictions.of({"name": list("abcd"), "truth": [20] * 4, "years": [23.0, 23.6, 25.5, 27.0]})
    assert _evaluated(table, "megaage-asian") == {"cs3": 0.25, "cs5": 0.5, "cs7": 1.0, "mae": pytest.approx(4.775)}


def test_appa_real_against_apparent_and_real_age() -> None:
    table = Predictions.of(
        {
            "name": ["a", "b"],
            "truth": [30, 40],
            "apparent": [33, 36],
            "apparent_std": [5, 5],
            "years": [33, 41],
        }
    )
    figures = _evaluated(table, "appa-real")
    assert figures == pytest.approx(
        {"mae_apparent": 2.5, "mae": 2.0, "epsilon_error": (1 - math.exp(-0.5)) / 2}, abs=1e-9
    )


def test_columns_that_hold_nothing_make_no_measures() -> None:
    faces = faces_of(Predictions.of({"name": ["a", "b"], "truth": [1, 2], "years": [1, NAN]}))
    assert (faces.low, faces.group, faces.subjects, faces.answered, faces.female_probability) == (None,) * 5
    known = faces_of(
        Predictions.of({"name": ["a", "b", "c"], "years": [1, 2, 3], "subject": ["x", "", "x"], "truth": [1, 2, 3]})
    )
    assert known.subjects is not None
    assert known.subjects[0] == known.subjects[2] != known.subjects[1]


def test_models_are_compared_on_the_faces_that_all_found() -> None:
    count = 30
    truth = np.linspace(20, 60, count)
    names = [f"{i}.jpg" for i in range(count)]
    one = Predictions.of({"name": names, "truth": truth, "years": truth + 1})
    years = truth - 3
    years[:5] = NAN
    other = Predictions.of({"name": names[::-1], "truth": truth[::-1], "years": years[::-1]})
    (pair,) = comparisons({"one": one, "other": other})
    assert (pair.model_a, pair.model_b, pair.test.count) == ("one", "other", 25)
    assert pair.test.difference == pytest.approx(-2)
    assert pair.test.p_value < 0.01
    assert comparisons({"one": one}) == []
    few = np.arange(5)
    assert comparisons({"one": one.select(few), "two": one.select(few)}) == []


def _evaluate(**tables: Predictions) -> Result:
    return evaluate_tables(tables, USED, measures=("mae",))


def test_nothing_to_measure() -> None:
    with pytest.raises(ValueError, match="no faces"):
        _evaluate()
    with pytest.raises(ValueError, match="no faces"):
        _evaluate(m=Predictions.of({"name": np.array([], dtype=str)}))


def test_no_face_was_found() -> None:
    table = Predictions.of({"name": ["a", "b"], "truth": [1, 2]})
    (model,) = _evaluate(m=table).models
    assert (model.faces, model.found, model.headlines, model.nist) == (2, 0, (), ())
    found = model.figure("found")
    assert found is not None
    assert (found.value, found.count) == (0.0, 2)


def test_nists_block_shows_both_directions() -> None:
    #                                  17 passes 25, 17 not, 20 challenged, 20 passes, 14 right, 14 too old, 10 as 13-16
    table = Predictions.of(
        {
            "name": list("abcdefg"),
            "truth": [17, 17, 20, 20, 14, 14, 10],
            "years": [26, 17, 22, 30, 15, 18, 13],
            "is_female": [1, 0, 1, 0, 1, 0, 1],
        }
    )
    found = {(one.block, one.title): one for one in nist_figures(table)}
    values = {title: one.value for (_, title), one in found.items()}
    assert values["aged 17 who pass"] == 0.5
    assert values["aged 18-30 who are challenged"] == 0.5
    assert values["aged 13-16, estimated so"] == 0.5
    assert values["aged 13-16, estimated older"] == 0.5
    assert values["aged 13-16, estimated younger"] == 0.0
    assert values["aged 8-12, estimated 13-16"] == 1.0
    assert values["aged 17-22, estimated 13-16"] == 0.0
    assert values["aged 14-17 who pass"] == 0.5
    assert values["aged 18-30 who do not"] == 0.0
    assert values["MAE, mean over ages × sexes, 24 of 26 without a face"] == 6.0
    for one in found.values():
        if one.opposite:
            assert found[one.block, one.opposite].opposite == one.title


def test_class_boundaries_lie_half_way() -> None:
    assert AgeClasses(((0, 2), (4, 6))).names == ("0-2", "4-6")
    assert CLASSES.names[-1] == "60+"
    assert CLASSES.boundaries.tolist() == [3.5, 7.5, 14.0, 23.0, 35.5, 46.0, 57.0]

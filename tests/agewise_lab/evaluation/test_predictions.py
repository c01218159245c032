"""The table of predictions: what it refuses, how it is cut and joined, and how it survives a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from agewise.errors import OutputError
from agewise.types import Gender
from agewise_lab.datasets.record import Record
from agewise_lab.evaluation.prediction_files import read_predictions, write_predictions
from agewise_lab.evaluation.predictions import Predictions, Provenance, concatenated, labels_of, on_common_faces

NAN = float("nan")


def table(**changes: object) -> Predictions:
    columns: dict[str, object] = {
        "name": ["a.jpg", "b.jpg", "c.jpg"],
        "truth": [10.0, 20.0, NAN],
        "years": [11.0, NAN, 31.5],
        "low": [9.0, NAN, 20.0],
        "high": [13.0, NAN, 40.0],
        "group": ["x", "", "y"],
        "is_female": [1.0, 0.0, NAN],
        "female_probability": [0.75, NAN, 0.25],
    }
    return Predictions.of(columns | changes)  # type: ignore[arg-type]


def test_what_is_not_given_is_unknown() -> None:
    known = Predictions.of({"name": ["a", "b"], "years": [4.0, NAN]})
    assert known.found.tolist() == known.answered.tolist() == [True, False]
    assert np.isnan(known.truth).all()
    assert known.subject.tolist() == ["", ""]
    assert known.class_id.tolist() == [-1, -1]
    assert known.provenance == Provenance()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"truth": [1.0, 2.0]}, r"truth must have one value a face, \(3,\), got \(2,\)"),
        ({"found": [True, True, True]}, "row 1, b.jpg: was found, but has neither years nor a class"),
        ({"found": [False, False, True]}, "row 0, a.jpg: has a prediction, but found is false"),
        ({"answered": [True, True, True]}, "row 1, b.jpg: is answered, but found is false"),
        ({"female_probability": [0.5, NAN, 1.5]}, r"row 2, c.jpg: female_probability must be 0 to 1"),
        ({"low": [14.0, NAN, 20.0]}, "row 0, a.jpg: low is above high"),
        ({"low": [NAN, NAN, 20.0]}, "row 0, a.jpg: low and high come together"),
        ({"years": [float("inf"), NAN, 3.0], "found": [True, False, True]}, "row 0, a.jpg: was found, but has neither"),
        ({"ages": [1, 2, 3]}, "got .*ages"),
    ],
)
def test_tables_that_make_no_sense_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        table(**changes)


def test_distributions_need_their_classes() -> None:
    with pytest.raises(ValueError, match="come together"):
        Predictions.of({"name": ["a"], "years": [1.0]}, probs_over_ages=[[0.5, 0.5]])
    with pytest.raises(ValueError, match=r"got \(1, 2\) and \(3, 2\) for 1 faces"):
        Predictions.of(
            {"name": ["a"], "years": [1.0]}, probs_over_ages=[[0.5, 0.5]], class_years=[[0, 2], [4, 6], [8, 12]]
        )


def test_labels_of_records() -> None:
    records = [
        Record("a.jpg", 12.0, Gender.FEMALE, "x", subject="s1", split="train"),
        Record("b.jpg", None, None, age_range_years=(4, 6), apparent_age_years=5.5, apparent_std_years=1.5),
    ]
    labels = labels_of(records)
    assert labels["name"].tolist() == ["a.jpg", "b.jpg"]
    np.testing.assert_array_equal(labels["truth"], [12, NAN])
    np.testing.assert_array_equal(labels["truth_low"], [NAN, 4])
    np.testing.assert_array_equal(labels["truth_high"], [NAN, 6])
    np.testing.assert_array_equal(labels["apparent"], [NAN, 5.5])
    np.testing.assert_array_equal(labels["apparent_std"], [NAN, 1.5])
    np.testing.assert_array_equal(labels["is_female"], [1, NAN])
    assert (labels["group"].tolist(), labels["subject"].tolist()) == (["x", ""], ["s1", ""])
    assert labels["split"].tolist() == ["train", ""]
    assert labels_of([])["truth"].shape == (0,)


def test_select_and_concatenated() -> None:
    whole = Predictions.of(
        {"name": ["a", "b", "c"], "years": [1.0, 2.0, 3.0]},
        probs_over_ages=[[1, 0], [0.5, 0.5], [0, 1]],
        class_years=[[0, 2], [4, 6]],
        quality={"sharpness": [7.0, 8.0, 9.0]},
        provenance=Provenance(data="set", model="m"),
    )
    parts = [whole.select(whole.years > 2), whole.select(np.array([1, 0])).stating(model="n")]
    joined = concatenated(parts)
    assert joined.name.tolist() == ["c", "b", "a"]
    assert joined.quality["sharpness"].tolist() == [9, 8, 7]
    assert joined.probs_over_ages is not None
    assert joined.probs_over_ages.tolist() == [[0, 1], [0.5, 0.5], [1, 0]]
    assert (joined.provenance.data, joined.provenance.model) == ("set", "")
    with pytest.raises(ValueError, match="no table"):
        concatenated([])
    with pytest.raises(ValueError, match="different classes"):
        concatenated([whole, table()])


def test_common_faces_are_those_that_all_have_and_found() -> None:
    one = Predictions.of({"name": ["c", "b", "a", "d"], "years": [3.0, NAN, 1.0, 4.0]})
    other = Predictions.of({"name": ["a", "b", "c"], "years": [10.0, 20.0, 30.0]})
    first, second = on_common_faces([one, other])
    assert first.name.tolist() == second.name.tolist() == ["c", "a"]
    assert (first.years.tolist(), second.years.tolist()) == ([3, 1], [30, 10])
    with pytest.raises(ValueError, match="1 are named twice, the first is a"):
        on_common_faces([one, concatenated([other, other.select(np.array([0]))])])
    assert on_common_faces([]) == []


def test_a_parquet_file_gives_back_the_whole_table(tmp_path: Path) -> None:
    whole = Predictions.of(
        {
            "name": ["ä.jpg", "b, c.jpg"],
            "years": [1.5, NAN],
            "answered": [False, False],
            "reasons": ["blurred; turned away", ""],
            "class_id": [3, -1],
        },
        probs_over_ages=[[0.25, 0.75], [0, 0]],
        class_years=[[0, 2], [4, 6]],
        quality={"face_pixels": [20.0, NAN]},
        provenance=Provenance(data="set", split="12ab", level=0.8, notes=("one", "two")),
    )
    path = tmp_path / "table.parquet"
    write_predictions(whole, path)
    again = read_predictions(path)
    for name in ("name", "found", "answered", "reasons", "years", "class_id", "low", "class_years", "probs_over_ages"):
        np.testing.assert_array_equal(getattr(again, name), getattr(whole, name), err_msg=name)
    np.testing.assert_array_equal(again.quality["face_pixels"], [20, NAN])
    assert again.provenance == whole.provenance
    assert [file.name for file in tmp_path.iterdir()] == ["table.parquet"]
    with pytest.raises(OutputError, match="does not exist"):
        write_predictions(whole, tmp_path / "none" / "table.parquet")


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / "table.csv"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_somebodys_csv(written: Callable[[str], Path]) -> None:
    found = read_predictions(
        written("Image,age,gender,race,predicted_age,predicted_gender\n007,21,F,1,23.5,male\n008,,u,,NA,\n")
    )
    assert found.name.tolist() == ["007", "008"]
    np.testing.assert_array_equal(found.truth, [21, NAN])
    np.testing.assert_array_equal(found.years, [23.5, NAN])
    np.testing.assert_array_equal(found.is_female, [1, NAN])
    np.testing.assert_array_equal(found.female_probability, [0, NAN])
    assert found.group.tolist() == ["1", ""]
    assert found.found.tolist() == [True, False]


def test_the_csv_that_predict_writes(written: Callable[[str], Path]) -> None:
    found = read_predictions(
        written(
            "source,face_index,detector_score,age_years,age_std_years,age_interval_low,age_interval_high,gender,"
            "gender_probability,answered,reasons,sharpness\n"
            "a.jpg,0,0.99,30.5,4,20,40,male,0.8,false,blurred; turned away,0.25\nb.jpg,,,,,,,,,,,\n"
        )
    )
    assert found.years[0] == 30.5
    assert (found.low[0], found.high[0]) == (20, 40)
    assert found.female_probability[0] == pytest.approx(0.2)
    assert np.isnan(found.is_female).all()
    assert (found.quality["detector_score"][0], found.quality["sharpness"][0]) == (0.99, 0.25)
    assert found.answered.tolist() == [False, False]
    assert found.reasons.tolist() == ["blurred; turned away", ""]
    assert found.found.tolist() == [True, False]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot be read as csv"),
        ("years\n3\n", "no column names the faces: expected one of name, path"),
        ("name,truth\na,3\n", "no column holds the predicted age"),
        ("name,years\na,3\nb,old\n", r"column years, row 3: expected a number, got 'old'"),
        ("name,years\na,inf\n", "column years, row 2: expected a finite number"),
        ("name,years\na,3\na,4\n", "1 faces are named twice, the first is a"),
        ("name,years\n,3\n", "row 2 has no name"),
        ("name,years,gender\na,3,x\n", "column gender, row 2: expected female or male, got 'x'"),
        ("name,years\na,3,4\n", "cannot be read as csv"),
    ],
)
def test_broken_csvs_are_refused_with_the_place(written: Callable[[str], Path], text: str, message: str) -> None:
    path = written(text)
    with pytest.raises(ValueError, match=message) as caught:
        read_predictions(path)
    assert str(path) in str(caught.value)


def test_files_that_are_no_tables(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="cannot be read as parquet"):
        read_predictions(tmp_path / "x.parquet")
    with pytest.raises(ValueError, match=r"from .csv or .parquet, got '.txt'"):
        read_predictions(tmp_path / "x.txt")
    with pytest.raises(FileNotFoundError):
        read_predictions(tmp_path / "none.csv")

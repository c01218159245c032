"""`agewise-lab gate`: its exit status and what it prints."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from agewise_lab.cli.main import app
from agewise_lab.evaluation.measures import Faces, measure_table
from agewise_lab.evaluation.prediction_files import write_predictions
from agewise_lab.evaluation.predictions import Predictions, Provenance


def _run(*words: object) -> Result:
    return CliRunner().invoke(app, ["gate", *map(str, words)], env={"NO_COLOR": "1", "COLUMNS": "200", "TERM": "dumb"})


def _cells(line: str) -> list[str]:
    return re.split(r" {2,}", line)


@pytest.fixture(scope="module")
def table() -> Predictions:
    """400 faces: half of them female and 2 years off, the male ones 5; no 17-year-olds; few of group B."""
    female = np.arange(400) % 2
    truth = 20.0 + np.arange(400) % 40
    years = truth + np.where(female, 2.0, 5.0)
    return Predictions.of(
        {
            "name": [f"{i}.jpg" for i in range(400)],
            "truth": truth,
            "is_female": female,
            "years": years,
            "low": years - 6,
            "high": years + 6,
            "group": np.where(np.arange(400) < 30, "B", "A"),
        },
        provenance=Provenance(model="one"),
    )


@pytest.fixture(scope="module")
def file(table: Predictions, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("gate") / "one.parquet"
    write_predictions(table, path)
    return path


def test_all_limits_hold(file: Path) -> None:
    result = _run(file, "--max-gap", 3.5, "--min-coverage", 0.9, "--max-mae", 6)
    assert result.exit_code == 0, result.output
    first, *rest = result.stdout.splitlines()
    assert first.startswith("one: 0 fail, ")
    assert [_cells(line)[:3] for line in rest] == [
        ["too few", "--max-gap 3.5", "A"],  # B has 30 faces only: A has nobody to be compared with
        ["too few", "--max-gap 3.5", "B"],
        ["too few", "--max-mae 6", "B"],
        ["too few", "--min-coverage 0.9", "B"],
    ]


def test_a_group_that_fails_is_printed_with_its_interval(file: Path, table: Predictions) -> None:
    result = _run(file, "--max-gap", 2.5)
    assert result.exit_code == 1
    line = _cells(next(line for line in result.stdout.splitlines() if line.startswith("FAILS")))
    assert line[:4] == ["FAILS", "--max-gap 2.5", "male", "MAE above the best group's"]
    figures = measure_table(
        Faces(estimates=table.years, truths=table.truth, is_female=table.is_female), measures=["mae"], by=["sex"]
    )
    assert [round(figure.value, 6) for figure in figures] == [3.5, 2.0, 5.0]
    assert line[4:] == ["3 [3, 3] years", "n = 200", "5 against 2 of female"]


def test_what_holds_is_printed_when_asked(file: Path) -> None:
    assert "holds  " not in _run(file, "--max-mae", 6).stdout
    lines = _run(file, "--max-mae", 6, "--all").stdout.splitlines()
    (everyone,) = [cells for cells in map(_cells, lines) if cells[:3] == ["holds", "--max-mae 6", "all"]]
    assert (everyone[3], everyone[4].split()[0], everyone[5]) == ("MAE", "3.5", "n = 400")


def test_a_limit_without_a_face_fails(file: Path) -> None:
    result = _run(file, "--max-fpr17", 0.1)
    assert result.exit_code == 1
    assert ["FAILS", "--max-fpr17 0.1", "all"] in [_cells(line)[:3] for line in result.stdout.splitlines()]


def test_strict_fails_what_is_too_few(file: Path) -> None:
    assert _run(file, "--max-mae", 6).exit_code == 0
    assert _run(file, "--max-mae", 6, "--strict").exit_code == 1
    assert _run(file, "--max-mae", 6, "--strict", "--least", 10).exit_code == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("FILE",), "there is nothing to judge by"),
        (("FILE", "--min-coverage", "90"), "min_coverage must be a share"),
        (("FILE", "--max-gap", "3", "--model", "tow"), "unknown model 'tow'"),
        (("none.parquet", "--max-gap", "3"), "none.parquet"),
        (("none", "--max-gap", "3"), "none"),
        (("FILE", "--max-gap", "wide"), "Invalid value for '--max-gap'"),
    ],
)
def test_wrong_usage_is_status_2(words: tuple[str, ...], message: str, file: Path) -> None:
    result = _run(*(str(file) if word == "FILE" else word for word in words))
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())

"""`agewise calibrate`: from labelled photos to a model file with its own tables, or a clear word on why not."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from agewise.card import ModelCard
from agewise.estimate import Estimator

Cli = Callable[..., Any]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of 120 flat pictures of 20 to 79 years by the tiny model, each 4 years older than it looks."""
    folder = tmp_path_factory.mktemp("photos")
    rows = ["age,gender,path"]
    for i in range(120):
        years = 20 + i // 2
        name = f"{i:03}.png"
        Image.fromarray(np.full((20, 20, 3), round(years * 2.55), np.uint8)).save(folder / name)
        rows.append(f"{years + 4},{'female' if i % 3 else 'male'},{name}")
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")
    return folder


@pytest.fixture
def calibrate(cli: Cli, onnx_path: Path, tmp_path: Path) -> Cli:
    """`calibrate(data, *flags)` with the tiny model; the whole picture is the face."""
    return lambda data, *flags: cli(
        "calibrate", onnx_path, "--data", data, "--output", tmp_path / "mine.onnx", "--detector", "none", *flags
    )


def test_a_table_becomes_a_calibrated_model(calibrate: Cli, photos: Path, tmp_path: Path, onnx_path: Path) -> None:
    done = calibrate(photos / "labels.csv")
    assert (done.status, done.err) == (0, "")
    assert "calibrated on 120 of 120 photos" in done.out
    assert "gender probabilities: fitted anew (120 labels)" in done.out
    card: ModelCard = Estimator(tmp_path / "mine.onnx").card  # its golden check passes
    assert card.version == "1.0+own"
    assert card.calibration is not None
    assert (card.calibration.faces, card.calibration.served) == (120, "label-conditional")
    assert card.calibration.data == "labels.csv: 120 of 120 photos, detector none"
    assert card.calibration.date is not None
    assert card.calibration.sha256 is not None
    assert card.gender is not None
    assert card.gender.temperature != 1.0
    figures = {figure.measure: figure.value for figure in card.figures if figure.data.startswith("labels.csv")}
    assert figures["count"] == 120
    assert figures["mae"] == pytest.approx(4, abs=0.2)
    assert figures["bias"] == pytest.approx(-4, abs=0.2)
    (radius,) = [t.radii[0] for t in card.calibration.intervals if (t.kind, t.level) == ("plain", 0.9)]
    assert radius == pytest.approx(4.1, abs=0.2), "errors of 4 years give intervals of 4 years"
    assert (tmp_path / "mine.onnx").stat().st_size > onnx_path.stat().st_size
    assert [name for name in os.listdir(tmp_path) if name.endswith(".part")] == []


def test_a_folder_of_named_pictures(calibrate: Cli, tmp_path: Path) -> None:
    folder = tmp_path / "named"
    folder.mkdir()
    for i in range(100):
        name = f"{30 + i % 40}_{i}_x.png" if i < 2 else f"{30 + i % 40}_{i % 2}_{i}.png"
        Image.fromarray(np.full((20, 20, 3), round((30 + i % 40) * 2.55), np.uint8)).save(folder / name)
    (folder / "not a face.txt").write_text("x")
    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(folder / "unlabelled.png")
    done = calibrate(folder)
    assert (done.status, done.err) == (0, "")
    assert "calibrated on 100 of 100 photos" in done.out


def test_too_few_faces_and_what_became_of_the_others(
    calibrate: Cli, photos: Path, tmp_path: Path, make_picture: Callable[..., Path]
) -> None:
    rows = (photos / "labels.csv").read_text().splitlines()
    lines = [row.rpartition(",")[0] + f",{photos / row.rpartition(',')[2]}" for row in rows[1:100]]
    lines += ["30,,missing.png", f"31,male,{make_picture('another.png')}"]
    (tmp_path / "few.csv").write_text("\n".join([rows[0], *lines[:98], *lines[99:]]))
    done = calibrate(tmp_path / "few.csv")
    assert done.status == 1
    assert "calibration needs at least 100 faces, got 99 of 100 photos (1 cannot be read)" in done.err
    assert not (tmp_path / "mine.onnx").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path\na.png\n", "has no column 'age'; it needs path and age, and may have gender; it has path"),
        ("age,path\nold,a.png\n", "line 2: age must be years from 0 to 130, got 'old'"),
        ("age,path\n131,a.png\n", "line 2: age must be years from 0 to 130, got '131'"),
        ("age,path\n-1,a.png\n", "got '-1'"),
        ("age,path\nnan,a.png\n", "got 'nan'"),
        ("age,path,gender\n30,a.png,1\n", "line 2: gender must be female, male or empty, got '1'"),
        ("age,path\n30,\n", "line 2: no path"),
        ("age,path\n", "has no rows below its heading"),
        ("", "has no column 'path'"),
    ],
)
def test_tables_that_cannot_be_read(calibrate: Cli, tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "labels.csv").write_text(text)
    done = calibrate(tmp_path / "labels.csv")
    assert done.status == 1
    assert message in done.err


def test_a_folder_without_labels_and_a_missing_one(calibrate: Cli, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "no picture whose name begins with an age" in calibrate(tmp_path / "empty").err
    assert "cannot read the labels" in calibrate(tmp_path / "missing.csv").err


@pytest.mark.parametrize(("output", "message"), [("mine.bin", "must end in .onnx"), ("no/mine.onnx", "does not exist")])
def test_an_output_that_cannot_be(cli: Cli, photos: Path, tmp_path: Path, output: str, message: str) -> None:
    done = cli("calibrate", "agewise-s", "--data", photos / "labels.csv", "--output", tmp_path / output)
    assert done.status == 2
    assert message in done.err


def test_estimates_stay_and_intervals_change(calibrate: Cli, photos: Path, tmp_path: Path, onnx_path: Path) -> None:
    calibrate(photos / "labels.csv")
    crops = np.full((1, 16, 16, 3), 153, dtype=np.uint8)
    (before,), (after,) = (Estimator(path).predict_crops(crops) for path in (onnx_path, tmp_path / "mine.onnx"))
    assert before.age_years == after.age_years
    assert before.gender == after.gender
    assert before.age_interval_years != after.age_interval_years

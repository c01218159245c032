"""`agewise predict` and the faces that it declines: still estimated, and marked wherever they are shown."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]
MakePicture = Callable[..., Path]


def test_a_declined_face_is_marked_in_every_form(predict: Cli, make_picture: MakePicture, tmp_path: Path) -> None:
    picture = make_picture("a.png", 102)
    plain = predict(picture, "--min-size", "64").rows[0]
    assert plain[2] == "40.00", "the estimate is still there"
    assert plain[11] == "declined: face too small (35 px < 64)"
    (face,) = predict(picture, "--min-size", "64", "--json").objects[0]["faces"]
    assert (face["answered"], face["reasons"]) == (False, ["face too small (35 px < 64)"])
    assert face["age_years"] == pytest.approx(40, abs=1e-3)
    assert face["quality"]["face_pixels"] == pytest.approx(34.641, abs=1e-3)
    assert predict(picture, "--min-size", "64", "--output", tmp_path / "out.csv").status == 0
    (row,) = csv.DictReader(io.StringIO((tmp_path / "out.csv").read_text()))
    assert (row["answered"], row["reasons"]) == ("false", "face too small (35 px < 64)")


@pytest.mark.parametrize(
    ("flags", "state"),
    [
        ([], "answered"),
        (["--max-interval", "10"], "answered"),
        (["--max-interval", "9"], "declined: interval wider than 9 years (10.0)"),
        (["--min-sharpness", "0.2"], "declined: blurred (sharpness 0.00 < 0.20)"),
        (["--min-sharpness", "0.2", "--answer-all"], "answered"),
        (["--max-yaw", "10"], "answered"),  # without landmarks there is no yaw
    ],
)
def test_flags(predict: Cli, make_picture: MakePicture, flags: list[str], state: str) -> None:
    done = predict(make_picture("a.png", 102), *flags)
    assert (done.status, done.rows[0][11]) == (0, state)


def test_a_threshold_that_makes_no_sense_is_a_mistake(predict: Cli, make_picture: MakePicture) -> None:
    done = predict(make_picture("a.png"), "--max-interval", "-1")
    assert done.status == 2
    assert "max_interval_years must be 0 or more, got -1" in done.err

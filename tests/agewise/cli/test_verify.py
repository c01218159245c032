"""`agewise verify`: a verdict a face, an exit status for scripts, and rates only where the card has them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]
MakePicture = Callable[..., Path]

TABLE = {
    "threshold": 18, "under": 40, "over": 60, "failed_under": 30, "failed_over": 3, "buffers": [0, 7],
    "passed_under": [10, 1], "passed_over": [57, 45], "data": "sixty and forty faces",
}  # fmt: skip


@pytest.fixture
def model(tmp_path: Path, make_onnx: Callable[..., bytes]) -> Path:
    path = tmp_path / "counted.onnx"
    path.write_bytes(make_onnx(verification=[TABLE]))
    return path


@pytest.fixture
def verify(cli: Cli, model: Path) -> Cli:
    """`verify(*sources_and_flags)`: the whole picture is the face, its mean colour the age."""
    return lambda *arguments: cli("verify", "--model", model, "--detector", "none", *arguments)


@pytest.mark.parametrize(
    ("gray", "flags", "verdict", "status"),
    [
        (77, [], "pass", 0),  # 30.2 years
        (51, [], "unsure", 3),  # 20
        (51, ["--challenge", "19.5"], "pass", 0),
        (51, ["--over", "16", "--challenge", "18"], "pass", 0),
        (51, ["--over", "21"], "fail", 3),
        (26, [], "fail", 3),  # 10.2
        (77, ["--min-size", "50"], "unsure", 3),
        (77, ["--max-interval", "9.5"], "unsure", 3),
        (77, ["--max-interval", "9.5", "--answer-all"], "pass", 0),
        (77, ["--min-sharpness", "0.1"], "unsure", 3),
    ],
)
def test_verdicts_and_exit_statuses(
    verify: Cli, make_picture: MakePicture, gray: int, flags: list[str], verdict: str, status: int
) -> None:
    done = verify(make_picture("a.png", gray), *flags)
    ((_, number, got, age, low, high, reason),) = done.rows
    assert (done.status, number, got) == (status, "1", verdict)
    assert float(age) == pytest.approx(gray / 2.55, abs=0.06)
    assert float(low) < float(age) < float(high)
    assert reason


def test_each_picture_and_face_has_its_own(verify: Cli, make_picture: MakePicture) -> None:
    done = verify(make_picture("a.png", 77), make_picture("b.png", 26), make_picture("c.png", 51))
    assert [row[2] for row in done.rows] == ["pass", "fail", "unsure"]
    assert [row[6] for row in done.rows][1:] == ["looks 10.2, below 18", "looks 20.0, between 18 and 25"]
    assert done.status == 3


def test_rates_are_said_once_and_with_their_counts(verify: Cli, make_picture: MakePicture) -> None:
    done = verify(make_picture("a.png", 77))
    said = " ".join(done.lines)
    assert "of faces under 18, 2.5 % (1 of 40), 95 % interval 0.4 to 12.9 % passed" in said
    assert "5.0 % (3 of 60)" in said
    assert "20.0 % (12 of 60)" in said
    assert "sixty and forty faces" in said
    assert "do not let it decide about people" in said


def test_no_claim_where_the_card_has_none(verify: Cli, make_picture: MakePicture) -> None:
    for flags in (["--over", "21"], ["--challenge", "26"]):
        done = verify(make_picture("a.png", 90), *flags)
        assert "states no error rates" in done.err
        assert "%" not in done.err


def test_json(verify: Cli, make_picture: MakePicture) -> None:
    done = verify(make_picture("a.png", 51), "--json")
    (picture,) = done.objects
    (face,) = picture["faces"]
    assert (picture["passes"], picture["error"], done.err) == (False, None, "")
    assert list(face) == [
        *("box_xyxy", "verdict", "reason", "threshold", "challenge", "age_years", "age_interval_years"),
        *("answered", "reasons", "false_positive", "false_negative", "unsure_over", "measured_on"),
    ]
    assert (face["verdict"], face["threshold"], face["challenge"]) == ("unsure", 18, 25)
    interval = face["false_positive"].pop("interval")
    assert interval == pytest.approx([0.0044, 0.1288], abs=1e-4)
    assert face["false_positive"] == {"wrong": 1, "count": 40, "share": 0.025}
    declined = verify(make_picture("a.png", 51), "--json", "--min-size", "99").objects[0]["faces"][0]
    assert (declined["answered"], declined["verdict"]) == (False, "unsure")
    assert declined["age_years"] == face["age_years"], "a declined face keeps its estimate"
    assert declined["reasons"] == ["face too small (35 px < 99)"]


def test_no_face_is_unsure(cli: Cli, model: Path, make_picture: MakePicture) -> None:
    flat = make_picture("flat.png")
    done = cli("verify", "--model", model, flat)  # mtcnn finds nothing in it
    assert done.rows == [[str(flat), "0", "unsure", "", "", "", "no face found"]]
    assert done.status == 3
    (picture,) = cli("verify", "--model", model, flat, "--json").objects
    assert picture["passes"] is False
    assert (picture["faces"][0]["box_xyxy"], picture["faces"][0]["verdict"]) == (None, "unsure")


def test_a_picture_that_cannot_be_read_is_an_error_and_stops_no_other(
    verify: Cli, make_picture: MakePicture, tmp_path: Path
) -> None:
    done = verify(tmp_path / "missing.png", make_picture("a.png", 90))
    assert done.status == 1
    assert [row[2] for row in done.rows] == ["pass"]
    assert "no such file" in done.err
    objects = verify(tmp_path / "missing.png", "--json").objects
    assert objects[0]["passes"] is None
    assert objects[0]["faces"] == []
    assert "no such file" in objects[0]["error"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--over", "25", "--challenge", "20"], "0 < threshold <= challenge, got 25 and 20"),
        (["--over", "0"], "0 < threshold <= challenge, got 0"),
        (["--over", "young"], "Invalid value for '--over'"),
        (["--max-megapixels", "0"], "--max-megapixels must be above 0"),
        (["--max-yaw", "-5"], "max_yaw_degrees must be 0 or more, got -5"),
        (["--model", "agewise-z"], "unknown model"),
    ],
)
def test_mistakes(verify: Cli, make_picture: MakePicture, flags: list[str], message: str) -> None:
    done = verify(make_picture("a.png"), *flags)
    assert (done.status, done.out) == (2, "")
    assert message in done.err

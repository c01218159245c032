"""`agewise predict` on good pictures: what it prints, and which flags do what."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agewise.sinks import COLUMNS

Cli = Callable[..., Any]
MakePicture = Callable[..., Path]


@pytest.fixture
def pictures(tmp_path: Path, make_picture: MakePicture, monkeypatch: pytest.MonkeyPatch) -> Path:
    """In the current folder: a.png, 21.18 years old, and folder/b.png, 40, and folder/deep/c.jpg, 60."""
    make_picture("a.png", 54)
    make_picture("folder/b.png", 102)
    make_picture("folder/deep/c.jpg", 153)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_plain_lines(predict: Cli, pictures: Path) -> None:
    done = predict("a.png", "folder/b.png")
    assert done.rows == [
        ["a.png", "1", "21.18", "16.18", "26.18", "male", "0.7882", "0.0", "0.0", "40.0", "30.0", "answered"],
        ["folder/b.png", "1", "40.00", "35.00", "45.00", "male", "0.6000", "0.0", "0.0", "40.0", "30.0", "answered"],
    ]
    assert (done.status, done.err) == (0, "")


def test_json_lines(predict: Cli, pictures: Path) -> None:
    done = predict("a.png", "folder/b.png", "--json")
    assert (done.status, done.err) == (0, "")
    assert [picture["source"] for picture in done.objects] == ["a.png", "folder/b.png"]
    first = done.objects[0]
    assert list(first) == ["source", "width", "height", "faces", "error"]
    (face,) = first.pop("faces")
    assert first == {"source": "a.png", "width": 40, "height": 30, "error": None}
    assert list(face) == [
        *("box_xyxy", "detector_score", "landmarks_xy", "age_years", "age_std_years", "age_interval_years"),
        *("gender", "gender_probability", "age_ranges_years", "answered", "reasons", "quality", "gender_sure"),
    ]
    assert face["box_xyxy"] == [0.0, 0.0, 40.0, 30.0]
    assert face["landmarks_xy"] is None
    assert face["age_years"] == pytest.approx(5400 / 255, abs=1e-3)
    assert face["age_interval_years"] == pytest.approx([5400 / 255 - 5, 5400 / 255 + 5], abs=1e-3)
    assert face["gender"] == "male"
    assert face["gender_probability"] == pytest.approx(1 - 54 / 255, abs=1e-4)


@pytest.mark.parametrize(
    ("arguments", "sources"),
    [
        (["folder"], ["folder/b.png"]),
        (["-r", "folder"], ["folder/b.png", "folder/deep/c.jpg"]),
        (["--recursive", "folder", "a.png"], ["folder/b.png", "folder/deep/c.jpg", "a.png"]),
        (["folder/*.png"], ["folder/b.png"]),
        (["**/*.jpg", "a.png"], ["folder/deep/c.jpg", "a.png"]),
        (["a.png", "a.png", "./a.png"], ["a.png"]),
    ],
)
def test_sources(predict: Cli, pictures: Path, arguments: list[str], sources: list[str]) -> None:
    done = predict("--json", *arguments)
    assert [picture["source"].replace(os.sep, "/") for picture in done.objects] == sources
    assert done.status == 0


def test_bytes_on_standard_input(start: Callable[..., Any], pictures: Path) -> None:
    child = start("-", "folder/b.png", "--json", stdin=subprocess.PIPE)
    done = child.finish((pictures / "a.png").read_bytes())
    assert (done.status, done.err) == (0, "")
    assert [(picture["source"], picture["width"]) for picture in done.objects] == [("-", 40), ("folder/b.png", 40)]
    assert round(done.objects[0]["faces"][0]["age_years"]) == 21


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_output_goes_to_the_file_alone(predict: Cli, pictures: Path, suffix: str) -> None:
    done = predict("a.png", "folder", "--output", f"out.{suffix}")
    assert (done.status, done.out, done.err) == (0, "", "")
    lines = (pictures / f"out.{suffix}").read_text().splitlines()
    if suffix == "jsonl":
        assert [json.loads(line)["source"] for line in lines] == ["a.png", "folder/b.png"]
    else:
        assert [line.split(",")[0] for line in lines] == ["source", "a.png", "folder/b.png"]
        assert lines[0] == ",".join(COLUMNS)


def test_output_and_json_give_both(predict: Cli, pictures: Path) -> None:
    done = predict("a.png", "--output", "out.jsonl", "--json")
    assert (pictures / "out.jsonl").read_text() == done.out
    assert len(done.objects) == 1


def test_parquet(predict: Cli, pictures: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="the extra parquet")
    assert predict("a.png", "folder", "--output", "out.parquet").status == 0
    rows = parquet.read_table(pictures / "out.parquet").to_pylist()
    assert [(row["source"], round(row["age_years"])) for row in rows] == [("a.png", 21), ("folder/b.png", 40)]


def test_a_picture_without_a_face_is_no_error_but_is_said(cli: Cli, onnx_path: Path, make_picture: MakePicture) -> None:
    flat = make_picture("flat.png")
    done = cli("predict", "--model", onnx_path, flat)  # mtcnn finds nothing in it
    assert (done.status, done.err) == (0, "")
    assert done.rows == [[str(flat), "0", "no face", *[""] * 9]]
    assert cli("predict", "--model", onnx_path, flat, "--json").objects == [
        {"source": str(flat), "width": 40, "height": 30, "faces": [], "error": None}
    ]


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (
            ["--threads", "2", "--batch", "7", "--max-faces", "3", "--min-face", "33", "--max-megapixels", "0.5"],
            {"threads": 2, "batch": 7, "max_faces": 3, "min_face": 33, "max_pixels": 500_000},
        ),
        ([], {"threads": 1, "batch": 32, "max_faces": None, "min_face": None, "max_pixels": 100_000_000}),
        (["--max-megapixels", "inf"], {"max_pixels": 10**15}),
    ],
)
def test_flags_reach_the_analyzer(
    predict: Cli, pictures: Path, monkeypatch: pytest.MonkeyPatch, flags: list[str], expected: dict[str, Any]
) -> None:
    import agewise.analyzer

    seen: dict[str, Any] = {}

    class Spy(agewise.analyzer.Analyzer):
        def __init__(self, model: str, detector: str, **settings: Any) -> None:
            seen.update(settings)
            super().__init__(model, detector, **settings)

    monkeypatch.setattr(agewise.analyzer, "Analyzer", Spy)
    assert predict("a.png", *flags).status == 0
    assert {key: seen[key] for key in expected} == expected


def test_the_pixel_limit_refuses(predict: Cli, pictures: Path) -> None:
    done = predict("a.png", "--max-megapixels", "0.001", "--json")
    assert done.status == 1
    assert "1200" in done.objects[0]["error"] or "1,200" in done.objects[0]["error"]


@pytest.mark.parametrize(
    "name",
    ["with space.png", "合影 文件.png", "tab\tand\nbreak.png", "a\x1b[31mred.png", "gnp\u202e.png", "'quotes\".png"],
)
def test_odd_names(predict: Cli, make_picture: MakePicture, name: str) -> None:
    path = make_picture(name)
    assert predict(path, "--json").objects[0]["source"] == str(path)
    done = predict(path)
    (row,) = done.rows
    assert len(row) == 12, "one line of twelve fields, whatever the name"
    assert row[0].isprintable(), "nothing that moves a terminal's cursor or turns its text"


@pytest.mark.skipif(os.name != "posix", reason="names as POSIX has them")
def test_bytes_in_names_that_are_not_utf8(start: Callable[..., Any], make_picture: MakePicture, tmp_path: Path) -> None:
    make_picture(b"caf\xe9.png")
    shown = f"{tmp_path}/caf\\xe9.png"
    for argument in (os.fsencode(tmp_path) + b"/caf\xe9.png", tmp_path):
        done = start(argument, "--json", "--output", tmp_path / "out.csv", "--draw", tmp_path / "drawn").finish()
        assert (done.status, done.err) == (0, "")
        assert [picture["source"] for picture in done.objects] == [shown]
        assert shown in (tmp_path / "out.csv").read_bytes().decode()
        assert os.listdir(os.fsencode(tmp_path / "drawn")) == [b"caf\xe9.png"]
    done = start(os.fsencode(tmp_path) + b"/\xff.png").finish()
    assert (done.status, done.lines) == (1, [f"agewise: {tmp_path}/\\xff.png: no such file"])


def test_a_stream_that_knows_only_ascii(start: Callable[..., Any], make_picture: MakePicture) -> None:
    path = make_picture("照.png")
    child = start(path, path.with_name("没有.png"), PYTHONIOENCODING="ascii")
    done = child.finish()
    assert done.out.startswith(f"{path.parent}/\\u7167.png\t1\t20.00")
    assert done.lines == [f"agewise: {path.parent}/\\u6ca1\\u6709.png: no such file"]
    assert json.loads(start(path, "--json", PYTHONIOENCODING="ascii").finish().out)["source"] == str(path)

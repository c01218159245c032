"""What a person at a terminal sees: a table, a bar while it runs, and lines that fit."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agewise.cli._views import TableView, _shortened
from agewise.sinks import ImageResult
from agewise.types import Detection, Face, Gender, Prediction

pytestmark = pytest.mark.skipif(os.name != "posix", reason="terminals as POSIX has them")

Start = Callable[..., Any]
MakePicture = Callable[..., Path]
AtTerminal = Callable[..., tuple[int, str]]


@pytest.fixture
def at_terminal(start: Start) -> AtTerminal:
    """`at_terminal(*sources_and_flags, columns=80)`: exit status, and all that the terminal got, colours and all."""
    import fcntl
    import pty
    import termios

    def run(*arguments: str | Path, columns: int = 80, by: Start = start, **options: Any) -> tuple[int, str]:
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        child = by(*arguments, **({"stdin": theirs, "stdout": theirs, "stderr": theirs} | options))
        os.close(theirs)
        got = b""
        with contextlib.suppress(OSError):  # Linux's way to say that the other end was closed
            while data := os.read(ours, 65536):
                got += data
        os.close(ours)
        return child.finish().status, got.decode()

    return run


def plain(text: str) -> list[str]:
    """Lines as they stand in the end: no colours, and what was drawn over is gone."""
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    return [line.rstrip().split("\r")[-1] for line in text.replace("\r\n", "\n").split("\n")]


def test_one_picture_gives_a_table_and_no_bar(
    at_terminal: AtTerminal, make_picture: MakePicture, tmp_path: Path
) -> None:
    make_picture("a.png", 102)
    status, text = at_terminal("a.png", columns=100, cwd=tmp_path)
    assert status == 0
    assert plain(text)[:3] == [
        "Source   Face         Box   Age   90 % interval   Gender   Probability",
        "──────────────────────────────────────────────────────────────────────",
        "a.png       1   0,0,40,30    40           35-45   male            60 %",
    ]
    assert "━" not in text


def test_several_pictures_show_a_bar_that_is_gone_in_the_end(
    at_terminal: AtTerminal, make_picture: MakePicture, tmp_path: Path
) -> None:
    for i in range(3):
        make_picture(f"{i}.png")
    status, text = at_terminal("0.png", "1.png", "missing.jpg", "2.png", cwd=tmp_path)
    assert status == 1
    assert "━" in text
    assert "/4" in text
    lines = plain(text)
    assert "agewise: missing.jpg: no such file" in lines
    assert "agewise: 4 pictures, 3 faces, 1 not read" in lines
    assert [line.split()[0] for line in lines if line.endswith("%")] == ["0.png", "1.png", "2.png"]


@pytest.mark.parametrize("columns", [60, 80, 100])
def test_lines_fit(at_terminal: AtTerminal, make_picture: MakePicture, tmp_path: Path, columns: int) -> None:
    names = ["a.png", f"folder/{'long' * 20}_end.png", f"{'照片' * 15}.png"]
    for name in names:
        make_picture(name)
    status, text = at_terminal(*names, columns=columns, cwd=tmp_path)
    table = [line for line in plain(text) if line.endswith("%")]
    assert status == 0
    assert len(table) == 3, "none is broken in two"
    assert max(map(len, table)) <= columns
    assert table[1].split()[0].endswith("_end.png"), "the end tells files apart"


@pytest.mark.parametrize(
    ("flags", "expected"),
    [(["--json"], '{"source": "a.png"'), (["--output", "out.csv"], "agewise: 2 pictures, 2 faces")],
)
def test_no_table_where_something_else_was_asked_for(
    at_terminal: AtTerminal, make_picture: MakePicture, tmp_path: Path, flags: list[str], expected: str
) -> None:
    for name in ("a.png", "b.png"):
        make_picture(name)
    status, text = at_terminal("a.png", "b.png", *flags, cwd=tmp_path)
    assert status == 0
    assert "Source" not in text
    assert any(line.startswith(expected) for line in plain(text))


def test_neither_table_nor_bar_when_piped(at_terminal: AtTerminal, make_picture: MakePicture, tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        make_picture(name, 102)
    reading, writing = os.pipe()
    status, text = at_terminal("a.png", "b.png", cwd=tmp_path, stdout=writing)
    os.close(writing)
    with open(reading, "rb") as pipe:
        lines = pipe.read().decode().splitlines()
    assert lines == [
        f"{name}\t1\t40.00\t35.00\t45.00\tmale\t0.6000\t0.0\t0.0\t40.0\t30.0\tanswered" for name in ("a.png", "b.png")
    ]
    assert "━" not in text
    assert status == 0


def test_a_bar_beside_a_file(at_terminal: AtTerminal, make_picture: MakePicture, tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        make_picture(name)
    with open(tmp_path / "out.txt", "wb") as file:
        status, text = at_terminal("a.png", "b.png", cwd=tmp_path, stdout=file)
    assert status == 0
    assert "━" in text
    assert len((tmp_path / "out.txt").read_text().splitlines()) == 2


def face(age: float, probability: float | None) -> Face:
    gender = None if probability is None else Gender.FEMALE
    interval = None if probability is None else (age - 6.5, age + 8.49)
    level = None if probability is None else 0.9
    return Face(Detection((0, 0, 9, 9), 1.0), Prediction(age, 5.0, interval, level, gender, probability))


def test_rows(capsys: pytest.CaptureFixture[str]) -> None:
    view = TableView(contextlib.nullcontext)
    view.show(ImageResult("a.jpg", 9, 9, (face(30.5, 0.999), face(30.49, 1.0), face(50.0, 0.5))))
    view.show(ImageResult("none.jpg", 9, 9))
    view.show(ImageResult("broken.jpg", error="it is told elsewhere"))
    view.show(ImageResult("[b]\x1b[31m:smile:", 9, 9, (face(7.0, None),)))
    view.finish()
    assert [line.split() for line in capsys.readouterr().out.splitlines()[2:]] == [
        ["a.jpg", "1", "0,0,9,9", "31", "24-39", "female", "99", "%"],
        ["2", "0,0,9,9", "30", "24-39", "female", "100", "%"],
        ["3", "0,0,9,9", "50", "44-58", "female", "50", "%"],
        ["none.jpg", "no", "face"],
        ["[b]\\x1b[31m:smile:", "1", "0,0,9,9", "7"],
    ]


def test_a_declined_face_is_in_brackets_and_its_reasons_in_a_last_column(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    reasons = ("face too small (18 px < 24)", "turned away (yaw 61° > 45°)", "cut by the image border (70 % > 50 %)")
    declined = dataclasses.replace(face(30.5, 0.9).prediction, answered=False, reasons=reasons)
    view = TableView(contextlib.nullcontext)
    view.show(ImageResult("a.jpg", 9, 9, (face(40.5, 0.9), Face(Detection((0, 0, 9, 9), 1.0), declined))))
    view.finish()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[-1] == "Declined"
    assert lines[2].split() == ["a.jpg", "1", "41", "34-49", "female", "90", "%"], "the box makes room"
    assert lines[3].split()[:3] == ["2", "[31]", "24-39"]
    words = " ".join(" ".join(lines[3:]).split())
    assert "face too small; turned" in words
    assert "border" in words
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize(("columns", "has_box"), [(120, True), (80, True), (66, True), (65, False), (44, False)])
def test_the_box_is_there_unless_the_terminal_is_narrow(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: int, has_box: bool
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    view = TableView(contextlib.nullcontext)
    view.show(ImageResult("a.jpg", 9, 9, (face(30.5, 0.999),)))
    view.finish()
    lines = capsys.readouterr().out.splitlines()
    assert ("Box" in lines[0], "0,0,9,9" in lines[2]) == (has_box, has_box)


def test_a_long_run_is_shown_in_parts(capsys: pytest.CaptureFixture[str]) -> None:
    view = TableView(contextlib.nullcontext)
    for i in range(700):
        view.show(ImageResult(f"{i}.jpg", 9, 9, (face(30.0, 0.9),)))
        if i == 500:
            assert capsys.readouterr().out.count("\n") == 502
    view.finish()
    assert capsys.readouterr().out.count("\n") == 202


@pytest.mark.parametrize(
    ("text", "width", "expected"),
    [
        ("short.jpg", 9, "short.jpg"),
        ("longer/short.jpg", 12, "...short.jpg"),
        ("照片照片.jpg", 12, "照片照片.jpg"),
        ("照片照片.jpg", 11, "...照片.jpg"),
        ("照片照片.jpg", 10, "...片.jpg"),
    ],
)
def test_shortened(text: str, width: int, expected: str) -> None:
    assert _shortened(text, width) == expected


@pytest.mark.parametrize("columns", [60, 100])
@pytest.mark.parametrize("arguments", [["models", "show"], ["detectors"]])
def test_lists_fit(
    spawn: Start, at_terminal: AtTerminal, onnx_path: Path, tmp_path: Path, arguments: list[str], columns: int
) -> None:
    more = [onnx_path.name] if "show" in arguments else []
    status, text = at_terminal(*arguments, *more, columns=columns, by=spawn, cwd=tmp_path)
    assert status == 0
    assert len(plain(text)) > 5
    assert max(map(len, plain(text))) <= columns

"""`--draw`: which names drawings get, and what happens where they cannot be written."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from agewise.cli import _drawings
from agewise.cli._drawings import Drawer, drawing_names
from agewise.errors import OutputError
from agewise.sources import Source, list_sources

Cli = Callable[..., Any]
MakePicture = Callable[..., Path]


def named(*relatives: str) -> list[str]:
    return [name.replace(os.sep, "/") for name in drawing_names(Source(f"in/{path}", 3) for path in relatives)]


@pytest.mark.parametrize(
    ("relatives", "expected"),
    [
        (["a.jpg", "b/a.jpg"], ["a.jpg", "b/a.jpg"]),
        (["a.jpg", "a.jpg", "a.jpg"], ["a.jpg", "a-2.jpg", "a-3.jpg"]),
        (["a.jpg", "a-2.jpg", "a.jpg", "a.jpg"], ["a.jpg", "a-2.jpg", "a-3.jpg", "a-4.jpg"]),
        (["a.jpg", "a.jpg", "a-2.jpg"], ["a.jpg", "a-2.jpg", "a-2-2.jpg"]),
        (["A.jpg", "a.JPG"], ["A.jpg", "a-2.JPG"]),  # one file to some file systems
        (["é.jpg", "e\u0301.jpg"], ["é.jpg", "e\u0301-2.jpg"]),
        (["a.gif", "a.png", "a.bmp", "a"], ["a.gif.png", "a.png", "a.bmp.png", "a-2.png"]),
        (["a.gif", "a.gif.png"], ["a.gif.png", "a.gif-2.png"]),
        (["x.jpg", "x.jpg/y.jpg"], ["x.jpg", "x.jpg_y.jpg"]),  # a folder with the name of a drawing
        (["x.jpg/y.jpg", "x.jpg"], ["x.jpg/y.jpg", "x-2.jpg"]),
        (["b/../../../a.jpg", "./c.jpg"], ["b/a.jpg", "c.jpg"]),  # nothing leads out of the folder
        ([".jpg", "...", ""], [".jpg.png", "picture.png", "picture-2.png"]),
    ],
)
def test_names_never_meet(relatives: list[str], expected: list[str]) -> None:
    assert named(*relatives) == expected


def test_standard_input_has_a_name() -> None:
    assert list(drawing_names([Source("-"), Source("in/stdin.jpg", 3)])) == ["stdin.jpg", "stdin-2.jpg"]


def test_many_of_one_name_take_no_quadratic_time() -> None:
    assert named(*["a.jpg"] * 20_000)[-1] == "a-20000.jpg"


def test_drawings_lie_as_their_pictures_do(predict: Cli, make_picture: MakePicture, tmp_path: Path) -> None:
    for name in ("in/a.png", "in/deep/a.png", "other/a.png", "b.gif"):
        make_picture(name)
    done = predict("-r", tmp_path / "in", tmp_path / "other" / "a.png", tmp_path / "b.gif", "--draw", tmp_path / "out")
    assert (done.status, done.err, len(done.rows)) == (0, "", 4)
    files = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.*"))
    assert files == ["a-2.png", "a.png", "b.gif.png", os.path.join("deep", "a.png")]
    with Image.open(tmp_path / "out" / "a.png") as drawn:
        assert drawn.size == (40, 30)
        assert len(np.unique(np.asarray(drawn).reshape(-1, 3), axis=0)) > 1, "something was drawn"


def test_a_second_run_takes_the_same_names_and_leaves_its_own_folder_out(
    predict: Cli, make_picture: MakePicture, tmp_path: Path
) -> None:
    make_picture("in/a.png")
    for _ in range(2):
        assert len(predict("-r", tmp_path / "in", "--draw", tmp_path / "in" / "drawn").rows) == 1
    assert os.listdir(tmp_path / "in" / "drawn") == ["a.png"]


@pytest.mark.parametrize("kind", ["folder", "file", "link", "output"])
def test_nothing_takes_the_place_of_a_picture(
    predict: Cli, make_picture: MakePicture, tmp_path: Path, kind: str
) -> None:
    picture = make_picture("in/a.png")
    before = picture.read_bytes()
    if kind == "link":
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "a.png").symlink_to(picture)
    if kind == "output":
        picture = picture.rename(tmp_path / "in" / "a.csv")
    sources = [tmp_path / "in"] if kind == "folder" else [picture]
    flags = {"link": ["--draw", tmp_path / "out"], "output": ["--output", picture]}
    done = predict(*sources, *flags.get(kind, ["--draw", tmp_path / "in"]))
    assert (done.status, done.out, len(done.lines)) == (2, "", 1)
    assert f"would replace the picture {picture}" in done.err
    assert picture.read_bytes() == before


def test_no_drawing_of_what_could_not_be_read(predict: Cli, make_picture: MakePicture, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"text")
    make_picture("b/a.png")
    done = predict(tmp_path / "a.png", tmp_path / "b" / "a.png", "--draw", tmp_path / "out")
    assert done.status == 1
    assert os.listdir(tmp_path / "out") == ["a-2.png"], "the number does not hang on what can be read"


@pytest.mark.parametrize("where", ["a file", "below a file"])
def test_a_folder_that_cannot_be_made_is_told_before_the_first_picture(
    predict: Cli, make_picture: MakePicture, tmp_path: Path, where: str
) -> None:
    (tmp_path / "file").write_bytes(b"x")
    folder = tmp_path / "file" / ("" if where == "a file" else "drawn")
    done = predict(make_picture("a.png"), "--draw", folder, "--output", tmp_path / "out.csv")
    assert (done.status, done.out) == (1, "")
    (line,) = done.lines
    assert line.startswith(f"agewise: cannot write drawings to {tmp_path}/file")
    assert not (tmp_path / "out.csv").exists()


def test_one_drawing_that_fails_stops_no_other(predict: Cli, make_picture: MakePicture, tmp_path: Path) -> None:
    (tmp_path / "out" / "a.png").mkdir(parents=True)  # where a drawing should stand
    done = predict(make_picture("a.png"), make_picture("b.png"), "--draw", tmp_path / "out")
    assert (done.status, len(done.rows), len(done.lines)) == (1, 2, 1)
    assert done.lines[0].startswith(f"agewise: cannot write {tmp_path}/out/a.png")
    assert (tmp_path / "out" / "b.png").is_file()


def test_a_full_disk_ends_the_drawing_but_not_the_run(
    predict: Cli, make_picture: MakePicture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import agewise.draw

    def full(*_: object) -> None:
        raise OutputError("cannot write it: No space left") from OSError(errno.ENOSPC, "No space left")

    monkeypatch.setattr(agewise.draw, "save_image", full)
    done = predict(*(make_picture(f"{i}.png") for i in range(3)), "--draw", tmp_path / "out")
    assert (done.status, len(done.rows)) == (1, 3)
    assert done.lines == ["agewise: cannot write it: No space left; no more drawings are made"]


def test_the_folder_is_tried_and_left_clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Drawer(str(tmp_path / "a" / "b"))
    assert list((tmp_path / "a" / "b").iterdir()) == []

    def read_only(**_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(_drawings.tempfile, "TemporaryFile", read_only)
    with pytest.raises(OutputError, match="Read-only file system; choose a folder"):
        Drawer(str(tmp_path / "a"))


def test_names_are_the_same_for_the_same_list(make_picture: MakePicture, tmp_path: Path) -> None:
    for name in ("x/a.png", "y/a.png", "z/A.png"):
        make_picture(name)
    listed = list_sources([tmp_path / "x", tmp_path / "y", tmp_path / "z"])
    assert list(drawing_names(listed.sources)) == list(drawing_names(listed.sources)) == ["a.png", "a-2.png", "A-3.png"]

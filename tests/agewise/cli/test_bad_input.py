"""The table of bad input: each is told in one line, stops no other, and gives the exit status 1."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from agewise.analyzer import Analyzer
from agewise.cli._run import Outputs, run
from agewise.sources import list_sources
from agewise.types import Detection

Cli = Callable[..., Any]
MakePicture = Callable[..., Path]
posix_only = pytest.mark.skipif(os.name != "posix", reason="permissions and links as POSIX has them")


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds next to no pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0"))


def truncated_jpeg() -> bytes:
    from io import BytesIO

    stream = BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(stream, "JPEG")
    return stream.getvalue()[:1500]


BAD: list[tuple[str, bytes | None, str]] = [
    ("empty.jpg", b"", "empty, 0 bytes"),
    ("truncated.jpg", truncated_jpeg(), "damaged, cut short"),
    ("text.jpg", b"hello, this is text", "not a picture of a kind that is read"),
    ("bomb.png", png_header(60_000, 60_000), "60000x60000"),
    ("missing.jpg", None, "no such file"),
]


@pytest.mark.parametrize(("name", "data", "reason"), BAD, ids=[name for name, *_ in BAD])
def test_one_bad_file_is_told_and_stops_no_other(
    predict: Cli, tmp_path: Path, make_picture: MakePicture, name: str, data: bytes | None, reason: str
) -> None:
    good = [make_picture("before.png"), make_picture("behind.png")]
    bad = tmp_path / name
    if data is not None:
        bad.write_bytes(data)
    done = predict(good[0], bad, good[1])
    assert done.status == 1
    assert [row[0] for row in done.rows] == [str(path) for path in good]
    (line,) = done.lines
    assert line.startswith(f"agewise: {bad}: ")
    assert reason in line

    done = predict(good[0], bad, good[1], "--json")
    assert [picture["source"] for picture in done.objects] == [str(good[0]), str(bad), str(good[1])]
    error = done.objects[1].pop("error")
    assert done.objects[1] | {"error": ""} == done.objects[1] | {
        "faces": [],
        "width": None,
        "height": None,
        "error": "",
    }
    assert error == line.removeprefix(f"agewise: {bad}: "), "the source is not named twice"
    assert [len(picture["faces"]) for picture in done.objects] == [1, 0, 1]


def test_bad_bytes_on_standard_input(start: Callable[..., Any]) -> None:
    import subprocess

    for given, reason in ((b"", "empty, 0 bytes"), (b"hello", "not a picture")):
        done = start("-", "--json", stdin=subprocess.PIPE).finish(given)
        assert done.status == 1
        assert done.err.startswith(f"agewise: -: {reason}")
        assert done.objects[0]["source"] == "-"


@pytest.mark.parametrize("size_wh", [(1, 1), (1, 300), (12_000, 9_000)])
def test_odd_sizes_are_fine(predict: Cli, make_picture: MakePicture, size_wh: tuple[int, int]) -> None:
    flags = ["--max-megapixels", "108"] if size_wh[0] > 1000 else []
    done = predict(make_picture("odd.jpg", 102, size_wh), "--json", *flags)
    assert (done.status, done.err) == (0, "")
    (picture,) = done.objects
    assert (picture["width"], picture["height"]) == size_wh
    assert round(picture["faces"][0]["age_years"]) == 40


@pytest.mark.parametrize("detector", ["mtcnn", "none"])
def test_one_pixel_and_every_detector(cli: Cli, onnx_path: Path, make_picture: MakePicture, detector: str) -> None:
    path = make_picture("one.png", 51, (1, 1))
    assert cli("predict", "--model", onnx_path, "--detector", detector, path).status == 0


@posix_only
class TestFolders:
    def test_an_empty_one(self, predict: Cli, tmp_path: Path, make_picture: MakePicture) -> None:
        (tmp_path / "empty").mkdir()
        done = predict(tmp_path / "empty")
        assert (done.status, done.out) == (1, "")
        assert done.lines[0].startswith(f"agewise: {tmp_path}/empty: no pictures in this folder")
        done = predict(tmp_path / "empty", make_picture("a.png"))
        assert (done.status, len(done.rows), len(done.lines)) == (1, 1, 1)

    def test_an_empty_one_alone_makes_no_output(self, predict: Cli, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        done = predict(tmp_path / "empty", "--output", tmp_path / "out.csv", "--draw", tmp_path / "drawn")
        assert done.status == 1
        assert not (tmp_path / "out.csv").exists()
        assert not (tmp_path / "drawn").exists()

    def test_a_pattern_that_matches_nothing(self, predict: Cli, tmp_path: Path) -> None:
        done = predict(tmp_path / "*.jpg")
        assert (done.status, done.lines) == (1, [f"agewise: {tmp_path}/*.jpg: nothing matches this pattern"])

    def test_loops_of_links(self, predict: Cli, tmp_path: Path, make_picture: MakePicture) -> None:
        make_picture("folder/a.png")
        (tmp_path / "folder" / "loop").symlink_to(tmp_path / "folder")
        assert len(predict("-r", tmp_path / "folder").rows) == 1
        (tmp_path / "folder" / "self.png").symlink_to("self.png")
        done = predict("-r", tmp_path / "folder")
        assert (done.status, len(done.rows)) == (1, 1)
        assert done.lines == [f"agewise: {tmp_path}/folder/self.png: a loop of symbolic links"]

    def test_permissions(
        self, predict: Cli, open_folder: Path, onnx_path: Path, not_root: Callable[[], AbstractContextManager[None]]
    ) -> None:
        for name in ("a.png", "closed.png", "closed/b.png"):
            (open_folder / name).parent.mkdir(exist_ok=True)
            Image.new("RGB", (40, 30)).save(open_folder / name)
        (open_folder / "closed.png").chmod(0)
        (open_folder / "closed").chmod(0)
        assert predict(open_folder / "a.png").status == 0  # all that is imported late is there from now on
        model = open_folder / "tiny.onnx"
        model.write_bytes(onnx_path.read_bytes())
        model.chmod(0o644)
        with not_root():
            done = predict("-r", open_folder, "--model", model)
        assert (done.status, [row[0] for row in done.rows]) == (1, [str(open_folder / "a.png")])
        assert done.lines == [
            f"agewise: {open_folder}/closed: cannot list this folder: Permission denied",
            f"agewise: {open_folder}/closed.png: no permission to read it",
        ]


def test_a_hundred_faces_and_one_at_the_border(
    tmp_path: Path,
    make_picture: MakePicture,
    make_estimator: Callable[..., Any],
    make_detector: Callable[..., Any],
    capfd: pytest.CaptureFixture[str],
) -> None:
    boxes = [(10.0 * (i % 10), 10.0 * (i // 10), 10.0 * (i % 10) + 8, 10.0 * (i // 10) + 8) for i in range(100)]
    found = [*(Detection(box, 0.9) for box in boxes), Detection((-30.0, 80.0, 20.0, 140.0), 0.9)]
    analyzer = Analyzer(make_estimator(batch=16), make_detector(found))
    listed = list_sources([make_picture("crowd.png", 102, (100, 100))])
    assert run(analyzer, listed, Outputs(drawings=str(tmp_path / "drawn"))) == 0
    rows = [line.split("\t") for line in capfd.readouterr().out.splitlines()]
    assert [row[1] for row in rows] == [str(i) for i in range(1, 102)]
    assert {row[2] for row in rows} == {"40.00"}
    with Image.open(tmp_path / "drawn" / "crowd.png") as drawn:
        assert drawn.size == (100, 100)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RuntimeError("it\nbroke"), "unexpected RuntimeError: it\\nbroke (--debug shows where)"),
        (MemoryError(), "not enough memory for this picture"),
    ],
)
def test_what_nobody_thought_of_stops_no_other_picture(
    make_picture: MakePicture,
    make_estimator: Callable[..., Any],
    capfd: pytest.CaptureFixture[str],
    error: Exception,
    expected: str,
) -> None:
    class Moody:
        name = "moody"
        calls = 0

        def detect(self, image_rgb: object) -> list[Detection]:
            self.calls += 1
            if self.calls == 1:
                raise error
            return []

    paths = [make_picture("a.png"), make_picture("b.png")]
    assert run(Analyzer(make_estimator(), Moody()), list_sources(paths), Outputs(json=True)) == 1
    out, err = capfd.readouterr()
    assert err == f"agewise: {paths[0]}: {expected}\n"
    assert '"width": 40, "height": 30, "faces": [], "error": "' in out.splitlines()[0], "it was read, at least"
    assert '"error": null' in out.splitlines()[1]

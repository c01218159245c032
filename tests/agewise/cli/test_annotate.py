"""`agewise annotate` as a user types it. What the runs do in full: tests/agewise/bulk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyarrow", reason="the extra parquet")

from agewise.bulk import Summary
from agewise.cli import annotate as command

Cli = Callable[..., Any]
MakePicture = Callable[..., Path]


@pytest.fixture
def annotate(cli: Cli, onnx_path: Path) -> Cli:
    """`annotate(*sources_and_flags)` with the tiny model."""
    return lambda *arguments: cli("annotate", "--model", onnx_path, "--detector", "none", *arguments)


def test_the_same_rows_as_predict(annotate: Cli, predict: Cli, make_picture: MakePicture, tmp_path: Path) -> None:
    from pyarrow import parquet

    for i in range(3):
        make_picture(f"photos/{i}.png", gray=50 * i)
    (tmp_path / "photos" / "deep").mkdir()
    make_picture("photos/deep/bad.jpg").write_bytes(b"")
    output, file = tmp_path / "out", tmp_path / "out.parquet"
    done = annotate("-r", tmp_path / "photos", "--output", output, "--processes", 1, "--part-size", 9)
    assert (done.status, done.out, len(done.lines)) == (1, "", 1)
    assert done.lines[0].startswith("agewise: 4 pictures, 3 faces, 1 not read (errors.jsonl says why); 4 in ")
    assert done.lines[0].endswith(f" a second; in {output}")
    assert predict("-r", tmp_path / "photos", "--output", file).status == 1
    assert parquet.read_table(output / "part-000000.parquet").equals(parquet.read_table(file))
    again = annotate("-r", tmp_path / "photos", "--output", output, "--processes", 1)
    assert again.lines[0].endswith(f"; all was done already, in {output}")
    other = annotate("-r", tmp_path / "photos", "--output", output, "--max-faces", 1)
    assert (other.status, other.out, len(other.lines)) == (1, "", 1)
    assert "holds results of other settings (max_faces was null, now 1)" in other.err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["-"], "annotate reads no standard input"),
        (["a.png", "--engine", "spark"], "--engine must be local or ray, got 'spark'"),
        (["a.png", "--processes", "0"], "should be greater than or equal to 1"),
        (["a.png", "--part-size", "0"], "should be greater than or equal to 1"),
        (["a.png", "--model", "agewise-x"], "unknown model 'agewise-x'"),
        (["a.png", "--detector", "mtcn"], "did you mean 'mtcnn'?"),
    ],
)
def test_mistakes(annotate: Cli, tmp_path: Path, flags: list[str], message: str) -> None:
    done = annotate(*flags, "--output", tmp_path / "out")
    assert (done.status, done.out, len(done.lines)) == (2, "", 1)
    assert message in done.err
    assert not (tmp_path / "out").exists()


def test_no_pictures(annotate: Cli, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = annotate(tmp_path / "empty", "--output", tmp_path / "out")
    assert (done.status, done.out, len(done.lines)) == (1, "", 1)
    assert "no pictures in this folder" in done.err
    assert not (tmp_path / "out").exists()


class TestWatch:
    def test_lines_with_the_time_left_where_there_is_no_bar(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        clock = [1000.0]
        monkeypatch.setattr("agewise.cli.annotate.time.monotonic", lambda: clock[0])
        with command._Watch() as watch:
            watch.begin(10_000, 2_000)
            clock[0] += 30
            watch.reach(2_300)
            clock[0] += 30
            watch.reach(2_600)
        assert capsys.readouterr().err.splitlines() == [
            "agewise: going on: 2,000 of 10,000 pictures are done already",
            "agewise: 2,600 of 10,000 pictures, 10.0 a second, 12 min left",
        ]

    def test_what_is_done_again_does_not_move_the_bar_back(self) -> None:
        with command._Watch() as watch:
            watch.begin(10, 0)
            moves = []
            watch._reporter.advance = lambda: moves.append(1)  # type: ignore[union-attr, method-assign]
            for done in (3, 1, 2, 3, 4):
                watch.reach(done)
        assert len(moves) == 4

    def test_spans(self) -> None:
        assert [command._span(seconds) for seconds in (0.4, 59, 600, 7260)] == ["0 s", "59 s", "10 min", "2 h 1 min"]


def test_the_last_line() -> None:
    summary = Summary(
        pictures=5_000,
        faces=4_900,
        without_face=200,
        failed=0,
        pictures_this_run=1_000,
        seconds_this_run=20.04,
        pictures_a_second=49.9,
        processes=2,
        engine="local",
    )
    assert command._told(summary, "out") == (
        "5,000 pictures, 4,900 faces, 200 without a face; 1,000 in 20.0 s, 49.9 a second; in out"
    )

"""Whole runs with worker processes: equal to a loop, resumed, refused."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyarrow", reason="the extra parquet")

from agewise.bulk import Job, annotate
from agewise.bulk.folder import Folder
from agewise.bulk.local import DEATHS, LocalEngine
from agewise.errors import MissingExtraError, OutputError, UnknownDetectorError, UnknownModelError, WorkerError

Pictures = Callable[..., Path]
RowsOf = Callable[[Path], list[tuple[Any, ...]]]
Loop = Callable[..., list[tuple[Any, ...]]]


class Told:
    """A watcher that keeps what it is told."""

    def __init__(self) -> None:
        self.begun: tuple[int, int] | None = None
        self.reached: list[int] = []
        self.lines: list[str] = []

    def begin(self, total: int, done: int) -> None:
        self.begun = total, done

    def reach(self, done: int) -> None:
        self.reached.append(done)

    def say(self, text: str) -> None:
        self.lines.append(text)


def test_two_processes_give_the_rows_of_a_simple_loop(
    job: Job, gray_pictures: Pictures, rows_of: RowsOf, loop: Loop, tmp_path: Path
) -> None:
    photos, output, told = gray_pictures(12), tmp_path / "new" / "out", Told()
    (photos / "5.png").write_bytes(b"no picture")
    (photos / "6.png").write_bytes((photos / "7.png").read_bytes()[:60])
    # Named twice and found twice: each picture is done once, where it came first.
    sources = [photos / "3.png", photos, photos / "3.png", photos / "gone.png"]
    summary = annotate(sources, output, job, processes=2, part_size=4, watcher=told)
    order = [3, *(i for i in range(12) if i != 3)]
    paths = [*(str(photos / f"{i}.png") for i in order), str(photos / "gone.png")]
    assert rows_of(output) == loop(job.make_analyzer(), paths)
    assert summary is not None
    assert (summary.pictures, summary.faces, summary.without_face, summary.failed) == (13, 10, 0, 3)
    assert json.loads((output / "summary.json").read_text())["pictures_a_second"] == summary.pictures_a_second > 0
    errors = [json.loads(line) for line in (output / "errors.jsonl").read_text().splitlines()]
    assert [error["source"] for error in errors] == [str(photos / name) for name in ("5.png", "6.png", "gone.png")]
    assert all(error["error"] for error in errors)
    assert (told.begun, told.reached[-1]) == ((13, 0), 13)
    assert sorted(os.listdir(output)) == sorted(
        [".lock", "errors.jsonl", "listing.jsonl", "manifest.json", "summary.json"]
        + [f"part-00000{i}.parquet" for i in range(4)]
    )


@pytest.mark.usefixtures("inline")
class TestGoingOn:
    def test_finished_parts_are_not_touched_and_a_lost_one_is_done(
        self, job: Job, gray_pictures: Pictures, rows_of: RowsOf, tmp_path: Path
    ) -> None:
        photos, output, told = gray_pictures(9), tmp_path / "out", Told()
        annotate([photos], output, job, processes=1, part_size=3)
        before, stamps = rows_of(output), {path.name: path.stat().st_mtime_ns for path in output.glob("part-*")}
        (output / "part-000001.parquet").unlink()
        (output / ".agewise-0123.part").write_bytes(b"half")
        (photos / "0.png").unlink()  # of a finished part
        (photos / "new.png").write_bytes(b"came later")
        summary = annotate([photos], output, job, processes=1, watcher=told)
        assert rows_of(output) == before
        assert summary is not None
        assert (summary.pictures, summary.pictures_this_run, told.begun) == (9, 3, (9, 6))
        now = {path.name: path.stat().st_mtime_ns for path in output.glob("part-*")}
        assert [name for name in now if now[name] != stamps[name]] == ["part-000001.parquet"]
        assert not (output / ".agewise-0123.part").exists()

    def test_nothing_left_to_do_starts_no_worker(
        self, job: Job, gray_pictures: Pictures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        photos, output = gray_pictures(2), tmp_path / "out"
        annotate([photos], output, job, processes=1)
        monkeypatch.setattr("agewise.bulk.run.LocalEngine", LocalEngine)
        monkeypatch.setattr("agewise.bulk.local._start", lambda job: pytest.fail("a worker was started"))
        again = annotate([photos], output, job, processes=1)
        assert again is not None
        assert (again.pictures, again.pictures_this_run, again.pictures_a_second) == (2, 0, 0.0)

    def test_from_another_folder_with_relative_names(
        self, job: Job, gray_pictures: Pictures, rows_of: RowsOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        photos, output = gray_pictures(2), tmp_path / "out"
        monkeypatch.chdir(tmp_path)
        annotate(["photos"], output, job, processes=1, part_size=1)
        before = rows_of(output)
        assert before[0][0] == os.path.join("photos", "0.png")
        (output / "part-000001.parquet").unlink()
        monkeypatch.chdir(photos)
        annotate([photos], output, job, processes=1)
        assert rows_of(output) == before


@pytest.mark.usefixtures("inline")
class TestRefused:
    @pytest.fixture
    def begun(self, job: Job, gray_pictures: Pictures, tmp_path: Path) -> Path:
        """A folder with one picture done."""
        annotate([gray_pictures(1)], tmp_path / "out", job, processes=1, part_size=1)
        return tmp_path / "out"

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"max_faces": 3}, "max_faces was null, now 3"),
            ({"answer_all": True}, "answer_all was false, now true"),
            ({"min_face": 30}, "min_face was null, now 30"),
            ({"detector": "mtcnn"}, 'detector was "none", now "mtcnn"'),
            ({"model": "agewise-s"}, "model_sha256 was"),
        ],
    )
    def test_other_settings(
        self, begun: Path, job: Job, tmp_path: Path, rows_of: RowsOf, changes: dict[str, Any], message: str
    ) -> None:
        before = rows_of(begun)
        fields = {"model": job.model, "detector": "none"} | changes
        with pytest.raises(OutputError, match="holds results of other settings") as caught:
            annotate([tmp_path / "photos"], begun, Job(**fields), processes=1)
        assert message in str(caught.value)
        assert "--force" in str(caught.value)
        assert rows_of(begun) == before

    def test_other_sources_and_parts(self, begun: Path, job: Job, tmp_path: Path) -> None:
        with pytest.raises(OutputError, match="sources was"):
            annotate([tmp_path / "photos" / "0.png"], begun, job, processes=1)
        with pytest.raises(OutputError, match="in parts of 1, not 5"):
            annotate([tmp_path / "photos"], begun, job, processes=1, part_size=5)

    def test_force_starts_over_and_leaves_what_is_not_ours(
        self, begun: Path, job: Job, gray_pictures: Pictures, tmp_path: Path, rows_of: RowsOf
    ) -> None:
        (begun / "notes.txt").write_text("mine")
        (begun / "part-000007.parquet").write_bytes(b"of another run")
        gray_pictures(3)
        summary = annotate([tmp_path / "photos"], begun, job, processes=1, force=True)
        assert summary is not None
        assert (summary.pictures, summary.pictures_this_run, len(rows_of(begun))) == (3, 3, 3)
        assert (begun / "notes.txt").read_text() == "mine"

    def test_damaged_folders(self, begun: Path, job: Job, tmp_path: Path) -> None:
        listing, photos = (begun / "listing.jsonl").read_bytes(), tmp_path / "photos"
        (begun / "listing.jsonl").write_bytes(listing + b'"x"\n')
        with pytest.raises(OutputError, match="the listing in .* is damaged"):
            annotate([photos], begun, job, processes=1)
        (begun / "listing.jsonl").write_bytes(listing)
        part = begun / "part-000000.parquet"
        annotate([photos / "0.png", photos], tmp_path / "other", job, processes=1)
        table = part.read_bytes()
        from pyarrow import parquet

        parquet.write_table(parquet.read_table(part).slice(0, 0), part)
        with pytest.raises(OutputError, match="does not hold the pictures of the listing"):
            annotate([photos], begun, job, processes=1)
        part.write_bytes(table)
        (begun / "manifest.json").write_text("{")
        with pytest.raises(OutputError, match="manifest in .* is damaged or of another version"):
            annotate([photos], begun, job, processes=1)
        (begun / "manifest.json").unlink()
        with pytest.raises(OutputError, match="holds part files, but no manifest"):
            annotate([photos], begun, job, processes=1)

    def test_two_runs_at_a_time(self, begun: Path, job: Job, tmp_path: Path) -> None:
        pytest.importorskip("fcntl")
        with Folder(begun).locked(), pytest.raises(OutputError, match="another run writes to"):
            annotate([tmp_path / "photos"], begun, job, processes=1)

    def test_bad_arguments(
        self, job: Job, gray_pictures: Pictures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        photos, output = gray_pictures(1), tmp_path / "out"
        with pytest.raises(ValueError, match="processes must be at least 1, got 0"):
            annotate([photos], output, job, processes=0)
        with pytest.raises(ValueError, match="part_size must be at least 1, got 0"):
            annotate([photos], output, job, part_size=0)
        with pytest.raises(ValueError, match="unknown engine 'spark'"):
            annotate([photos], output, job, engine="spark")  # type: ignore[arg-type]
        with pytest.raises(UnknownModelError):
            annotate([photos], output, Job(model="agewise-x"))
        with pytest.raises(UnknownDetectorError):
            annotate([photos], output, Job(detector="x"))
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
        with pytest.raises(MissingExtraError, match="parquet"):
            annotate([photos], output, job)
        monkeypatch.setattr("agewise.bulk.run.check_pyarrow", lambda: None)
        with pytest.raises(MissingExtraError, match=r"agewise\[ray\]"):
            annotate([photos], output, job, engine="ray")
        assert list(output.glob("part-*")) == []


def test_no_pictures_at_all_writes_nothing(job: Job, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    told = Told()
    assert annotate([tmp_path / "empty", tmp_path / "*.gif"], tmp_path / "out", job, watcher=told) is None
    assert len(told.lines) == 2
    assert "no pictures in this folder" in told.lines[0]
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("inline")
def test_pictures_in_the_output_folder_are_not_listed(job: Job, gray_pictures: Pictures, tmp_path: Path) -> None:
    photos = gray_pictures(2)
    gray_pictures(3, "photos/out")
    summary = annotate([photos], photos / "out", job, recursive=True, processes=1)
    assert summary is not None
    assert summary.pictures == 2


@pytest.mark.usefixtures("inline")
def test_names_that_are_not_utf8(job: Job, gray_pictures: Pictures, tmp_path: Path, rows_of: RowsOf) -> None:
    photos = gray_pictures(1)
    os.rename(photos / "0.png", os.fsencode(photos) + b"/caf\xe9\n.png")
    summary = annotate([photos], tmp_path / "out", job, processes=1)
    assert summary is not None
    assert (summary.faces, summary.failed) == (1, 0)
    assert rows_of(tmp_path / "out")[0][0] == f"{photos}/caf\\xe9\n.png"
    assert annotate([photos], tmp_path / "out", job, processes=1) is not None


def test_a_worker_that_cannot_load_is_told(job: Job, gray_pictures: Pictures) -> None:
    from agewise.bulk.job import Part
    from agewise.errors import ModelError

    bad = Job(model=job.model, detector="none", model_sha256="0" * 64)
    with pytest.raises(ModelError, match="is another file here"):
        list(LocalEngine(bad, 1).run([Part(index=0, paths=("a.png",))]))


def test_workers_that_die_as_they_start_end_the_run(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    from agewise.bulk.job import Part

    starts = []
    monkeypatch.setattr("agewise.bulk.local._serve", os._exit)  # its argument is no number: the child ends badly
    real = LocalEngine._bury

    def count(self: LocalEngine, worker: Any, queue: Any) -> None:
        starts.append(worker)
        real(self, worker, queue)

    monkeypatch.setattr(LocalEngine, "_bury", count)
    with pytest.raises(WorkerError, match="worker processes die as they start, the last one with exit status 1"):
        list(LocalEngine(job, 1).run([Part(index=0, paths=("a.png",))]))
    assert len(starts) == DEATHS

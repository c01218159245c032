"""What dies on the way: the whole run, a worker, the user's patience, the disk. Real processes, real signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyarrow", reason="the extra parquet")

import agewise
from agewise.bulk import Job, annotate
from agewise.errors import OutputError

Pictures = Callable[..., Path]
RowsOf = Callable[[Path], list[tuple[Any, ...]]]
Loop = Callable[..., list[tuple[Any, ...]]]


class InThread:
    """`annotate` in a thread of its own, so that the test can do harm meanwhile."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.lines: list[str] = []
        self.result: Any = None
        self._thread = threading.Thread(target=self._run, args=(arguments, options), daemon=True)
        self._thread.start()

    def _run(self, arguments: Any, options: Any) -> None:
        try:
            self.result = annotate(*arguments, **options, watcher=self)
        except BaseException as error:  # noqa: BLE001  the test shall see it
            self.result = error

    def finish(self) -> Any:
        self._thread.join(180)
        assert not self._thread.is_alive()
        return self.result

    def begin(self, total: int, done: int) -> None:
        pass

    def reach(self, done: int) -> None:
        pass

    def say(self, text: str) -> None:
        self.lines.append(text)


def _paths(photos: Path, count: int) -> list[str]:
    return [str(photos / f"{i}.png") for i in range(count)]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_killed_or_stopped_goes_on(
    number: signal.Signals,
    start_annotate: Callable[..., subprocess.Popen[str]],
    job: Job,
    endless: Any,
    gray_pictures: Pictures,
    rows_of: RowsOf,
    loop: Loop,
    wait_for: Callable[..., None],
    tmp_path: Path,
) -> None:
    photos, output = gray_pictures(5), tmp_path / "out"
    arguments = (photos, endless.path, "--output", output, "--part-size", "2", "--processes", "1")
    run = start_annotate(*arguments)
    worker = endless.reader()  # two parts are done, the third waits
    if number == signal.SIGINT:
        os.killpg(run.pid, number)  # as a terminal does: to the workers, too
    else:
        run.send_signal(number)
    assert run.wait(60) == (-9 if number == signal.SIGKILL else 128 + number)
    endless.close()
    wait_for(lambda: not os.path.exists(f"/proc/{worker}"))
    told = run.communicate()[1]
    assert "Traceback" not in told
    if number != signal.SIGKILL:
        assert "stopped after about 5 of 6 pictures; the finished parts are kept in" in told
        assert "give the same command again to go on" in told
    stamps = {path.name: path.stat().st_mtime_ns for path in output.glob("part-*")}
    assert sorted(stamps) == ["part-000000.parquet", "part-000001.parquet"]
    assert not (output / "summary.json").exists()
    endless.become(gray_pictures(6) / "5.png")
    summary = annotate([photos, endless.path], output, job, processes=1)
    assert summary is not None
    assert (summary.pictures, summary.faces, summary.pictures_this_run) == (6, 6, 2)
    assert rows_of(output) == loop(job.make_analyzer(), [*_paths(photos, 5), str(endless.path)])
    assert {name: (output / name).stat().st_mtime_ns for name in stamps} == stamps


def test_a_worker_that_dies_is_replaced_and_its_part_done_again(
    job: Job, endless: Any, gray_pictures: Pictures, rows_of: RowsOf, loop: Loop, tmp_path: Path
) -> None:
    photos, output = gray_pictures(3), tmp_path / "out"
    run = InThread([photos, endless.path], output, job, processes=2, part_size=2)
    worker = endless.reader()
    endless.become(gray_pictures(4) / "3.png")
    (photos / "3.png").write_bytes(b"")  # came later: is not of this run
    os.kill(worker, signal.SIGKILL)
    summary = run.finish()
    endless.close()
    assert run.lines == [f"a worker died (by SIGKILL) at {endless.path} or just before; its part is done again"]
    assert (summary.pictures, summary.faces, summary.failed) == (4, 4, 0)
    assert rows_of(output) == loop(job.make_analyzer(), [*_paths(photos, 3), str(endless.path)])


def test_a_picture_that_kills_again_and_again_is_listed_and_left_out(
    job: Job,
    endless: Any,
    gray_pictures: Pictures,
    rows_of: RowsOf,
    loop: Loop,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("agewise.bulk.local.DEATHS", 2)
    photos, output = gray_pictures(2), tmp_path / "out"
    first, last = _paths(photos, 2)
    run = InThread([first, endless.path, last], output, job, processes=1, part_size=3)
    endless.kill_reader()
    endless.kill_reader()
    summary = run.finish()
    reason = "2 worker processes died over this picture, the last one by SIGKILL"
    assert run.lines == [
        f"a worker died (by SIGKILL) at {endless.path} or just before; its part is done again",
        f"{endless.path}: {reason}; it is left out",
    ]
    assert (summary.pictures, summary.faces, summary.failed) == (3, 2, 1)
    rows, expected = rows_of(output), loop(job.make_analyzer(), [first, last])
    assert [rows[0], rows[2]] == expected
    error = json.loads((output / "errors.jsonl").read_text())
    assert error == {"source": str(endless.path), "error": reason}


LIMITED = """
import resource, sys
from agewise.cli.main import main
if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, 2_000))
    sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits as Linux has them")
def test_a_disk_that_gets_full_leaves_nothing_half_written(
    job: Job, gray_pictures: Pictures, rows_of: RowsOf, loop: Loop, tmp_path: Path
) -> None:
    photos, output = gray_pictures(2), tmp_path / "out"
    flags = ["--model", job.model, "--detector", "none", "--output", output, "--processes", "1"]
    environment = os.environ | {"PYTHONPATH": str(Path(agewise.__file__).resolve().parents[1])}
    command = [sys.executable, "-c", LIMITED, "annotate", photos, *flags]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"agewise: cannot write {output}/part-000000.parquet: File too large; free some")
    assert done.stderr.count("\n") == 1
    assert sorted(os.listdir(output)) == [".lock", "listing.jsonl", "manifest.json"]
    summary = annotate([photos], output, job, processes=1)
    assert summary is not None
    assert rows_of(output) == loop(job.make_analyzer(), _paths(photos, 2))


@pytest.mark.usefixtures("inline")
def test_folders_that_cannot_be_written_to(
    job: Job, gray_pictures: Pictures, open_folder: Path, not_root: Callable[[], Any], tmp_path: Path
) -> None:
    picture = open_folder / "a.png"
    picture.write_bytes((gray_pictures(1) / "0.png").read_bytes())
    model = open_folder / "tiny.onnx"
    model.write_bytes(Path(job.model).read_bytes())
    open_job = Job(model=str(model), detector="none")
    annotate([picture], open_folder / "well", open_job, processes=1)  # all is imported by now
    closed = open_folder / "closed"
    closed.mkdir()
    closed.chmod(0o555)
    for output in (closed, closed / "new"):
        with not_root(), pytest.raises(OutputError, match="cannot write to .*: Permission denied; choose a folder"):
            annotate([picture], output, open_job, processes=1)
    with pytest.raises(OutputError, match="cannot write to .*: File exists"):
        annotate([picture], picture, open_job, processes=1)
    assert list(closed.iterdir()) == []

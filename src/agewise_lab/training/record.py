"""What a run writes about itself: `run.json`, and a batch that broke it."""

from __future__ import annotations

import json
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch

import agewise
from agewise._files import atomic_write
from agewise_lab.store.crops import CropStore
from agewise_lab.store.split import Split
from agewise_lab.training.config import TrainConfig
from agewise_lab.training.module import LossNotFiniteError
from agewise_lab.training.plain import to_plain, with_defaults

_PACKAGES = ("torch", "lightning", "numpy", "opencv-python-headless")


def git_state() -> dict[str, Any] | None:
    """The commit of the code that runs and whether it is changed; None outside of a checkout."""
    folder = Path(__file__).resolve().parent

    def ask(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, timeout=20, check=True)
        return done.stdout.strip()

    try:
        return {
            "commit": ask("rev-parse", "HEAD"),
            "changed": bool(ask("status", "--porcelain", "--untracked-files=no")),
        }
    except (OSError, subprocess.SubprocessError):
        return None


def describe(config: TrainConfig, split: Split) -> dict[str, Any]:
    """Configuration, seed included, split, sizes, versions, code."""
    return {
        "config": to_plain(config),
        "split": split.digest,
        "count": [len(split.train), len(split.validation), len(split.holdout)],
        "versions": {
            "python": platform.python_version(),
            "agewise": agewise.__version__,
            **{name: metadata.version(name) for name in _PACKAGES},
        },
        "git": git_state(),
    }


def note_run(folder: Path, about: dict[str, Any], *, resumed: bool) -> None:
    """Write `run.json`, or hold a run that is there against it.

    Raises:
        ValueError: `folder` holds a run with another configuration or split.
    """
    path = folder / "run.json"
    if not resumed:
        _write(path, about)
        return
    before = json.loads(path.read_text()) if path.exists() else {}
    if "config" in before:  # settings that came later had the values that are their defaults now
        before["config"] = with_defaults(before["config"])
    for key in ("config", "split"):
        if key in before and before[key] != about[key]:
            raise ValueError(f"{folder} holds a run with another {key}: go on with that one, or name another folder")


def note_end(folder: Path, figures: dict[str, Any]) -> None:
    """Add what a run ended with to its `run.json`."""
    path = folder / "run.json"
    _write(path, json.loads(path.read_text()) | {"ended": figures})


def ended(folder: Path) -> dict[str, Any] | None:
    """What a run ended with, or None while it has not."""
    path = folder / "run.json"
    found: dict[str, Any] | None = json.loads(path.read_text()).get("ended") if path.is_file() else None
    return found


def _write(path: Path, content: dict[str, Any]) -> None:
    with atomic_write(path) as file:
        file.write((json.dumps(content, indent=2) + "\n").encode())


def keep_bad_batch(folder: Path, error: LossNotFiniteError, store: CropStore) -> tuple[Path, list[str]]:
    """Write the batch that gave no finite loss: names, pixels as the networks saw them before mixing, labels.

    Returns:
        Where, and the names.
    """
    path = folder / "not-finite.npz"
    arrays = {name: value.cpu().numpy() for name, value in error.batch.items()}
    names = np.asarray(store.name)[arrays["index"]]
    with atomic_write(path) as file:
        np.savez(file, name=names, step=error.step, **arrays)
    return path, names.tolist()


def last_epoch(checkpoint: Path) -> int:
    """How many epochs a checkpoint has behind it."""
    return int(torch.load(checkpoint, map_location="cpu", weights_only=True)["epoch"]) + 1

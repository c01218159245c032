"""Holds a light install to its promise. Run by the environment's own Python, from anywhere.

Checks that nothing of the lab's needs is importable, that agewise comes from the environment and not from a
checkout, and that the wheel held every weight and nothing but the two packages.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import sys
from pathlib import Path

HEAVY = ("torch", "torchvision", "lightning", "onnx", "onnxscript", "mtcnn", "joblib", "scipy", "skimage", "fastapi")
PACKAGES = {"agewise", "agewise_lab"}


def problems() -> list[str]:
    """What is wrong, one sentence each."""
    found = [f"{name} is importable" for name in HEAVY if importlib.util.find_spec(name)]
    spec = importlib.util.find_spec("agewise")
    if spec is None or spec.origin is None:
        return [*found, "agewise is not installed"]
    package = Path(spec.origin).parent
    if Path(sys.prefix) not in package.parents:
        found.append(f"agewise comes from {package}, not from this environment")
    for entry in json.loads((package / "weights" / "manifest.json").read_text(encoding="utf-8"))["files"]:
        if not (package / "weights" / entry["file"]).is_file():
            found.append(f"the wheel lacks {entry['file']}")
    found += [
        f"the wheel lacks {name}/py.typed" for name in PACKAGES if not (package.parent / name / "py.typed").is_file()
    ]
    files = importlib.metadata.files("agewise") or []
    tops = {file.parts[0] for file in files if file.parts[0] != ".." and not file.parts[0].endswith(".dist-info")}
    if tops != PACKAGES:
        found.append(f"the wheel holds {sorted(tops)}, expected {sorted(PACKAGES)}")
    return found


if __name__ == "__main__":
    complaints = problems()
    print("\n".join(complaints) or "light install: no heavy package, all weights, two packages")
    sys.exit(bool(complaints))

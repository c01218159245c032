"""`agewise-lab evaluate`: how good a model is, and for whom."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from agewise._files import atomic_write
from agewise_lab.cli._options import Root, Store


def evaluate(
    model: Annotated[str, typer.Argument(help="An embedded model's name, or an .onnx file with a card.")],
    root: Root,
    store: Store,
    part: Annotated[str, typer.Option(help="validation or holdout")] = "validation",
    detector: Annotated[str, typer.Option(help="none takes the pictures as crops.")] = "none",
    output: Annotated[Path | None, typer.Option(help="Write the figures there too, as JSON.")] = None,
) -> None:
    """Measure a model on a part of UTKFace, by age band, gender label and group."""
    from agewise.detect import make_detector
    from agewise.estimate import Estimator
    from agewise_lab.evaluation.run import by_group, part_of_store, run

    records = part_of_store(store, root, part)
    found = run(records, root, Estimator(model), None if detector == "none" else make_detector(detector))
    rows = by_group(found)
    keys = ["count", "found", "answered", "mae", "bias", "cs5", "gender", "gender_ece", "coverage", "width"]
    typer.echo("\t".join(["faces", *keys]))
    for name, row in rows.items():
        typer.echo("\t".join([name, *(f"{row[key]:.4g}" if key in row else "" for key in keys)]))
    if output is not None:
        with atomic_write(output) as file:
            file.write((json.dumps(rows, indent=2) + "\n").encode())

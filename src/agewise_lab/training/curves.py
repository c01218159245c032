"""Training curves: the figures of runs over their epochs, as a picture.

Several runs in one figure are how SSR-Net's study sets its networks side by side: error of the ages of the
validation part over epochs, a line each.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from agewise._files import atomic_write

Points = list[tuple[int, float]]

_PANELS = (
    ("age: mean absolute error, years", ("whole_mae", "train_mae")),
    ("gender: share that is right", ("whole_gender",)),
    ("loss, training", ("train_loss",)),
)


@dataclass(frozen=True, slots=True)
class Curves:
    """Figures of a run, by "<network>/<figure>": (epoch from 1, value), rising."""

    name: str
    values: dict[str, Points]


def read_run(folder: Path) -> Curves:
    """The curves of a run, over all parts that it went in; where it repeated an epoch, the later part counts.

    Raises:
        FileNotFoundError: no logs are there.
    """
    files = sorted(folder.glob("logs*/metrics.csv"), key=lambda path: _part(path.parent.name))
    if not files:
        raise FileNotFoundError(f"{folder} holds no logs of a run (logs/metrics.csv): name a run's folder")
    found: dict[str, dict[int, float]] = {}
    for file in files:
        with file.open(newline="") as stream:
            for row in csv.DictReader(stream):
                for name, value in row.items():
                    if "/" in name and value:
                        found.setdefault(name, {})[int(row["epoch"]) + 1] = float(value)
    return Curves(folder.resolve().name, {name: sorted(points.items()) for name, points in found.items()})


def _part(name: str) -> int:
    number = re.fullmatch(r"logs-(\d+)", name)
    return int(number[1]) if number else 1


def plot_runs(runs: Sequence[Curves], output: Path) -> None:
    """Draw the curves of one or several runs in one figure, and write it as PNG.

    Solid lines are of the validation part, dotted ones of training. A panel that no run has figures for is left out,
    and so is that of several runs' losses, which may be of different kinds, where there is another.

    Raises:
        ValueError: no run, or no figures at all.
    """
    panels = [
        (title, lines)
        for title, ends in _PANELS
        if (lines := [line for run in runs for line in _lines(run, ends, alone=len(runs) == 1)])
    ]
    if len(runs) > 1 and len(panels) > 1:
        panels = [panel for panel in panels if panel[0] != _PANELS[-1][0]]
    if not panels:
        raise ValueError("there is nothing to draw: the runs have no figures yet")
    figure = Figure(figsize=(5.6 * len(panels), 4.2), dpi=110, layout="constrained")
    for i, (title, lines) in enumerate(panels):
        axes = figure.add_subplot(1, len(panels), i + 1)
        colours: dict[str, Any] = {}
        for label, style, points in lines:
            of = label.removesuffix(", training")
            (line,) = axes.plot(
                *zip(*points, strict=True), style, label=label, color=colours.get(of), linewidth=1.5, markersize=3
            )
            colours.setdefault(of, line.get_color())
        axes.set_title(title, fontsize=11)
        axes.set_xlabel("epoch")
        axes.grid(alpha=0.3)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend(fontsize=8)
    data = io.BytesIO()
    figure.savefig(data, format="png")
    with atomic_write(output) as file:
        file.write(data.getvalue())


def _lines(run: Curves, ends: Sequence[str], *, alone: bool) -> list[tuple[str, str, Points]]:
    """(label, style, points) of each curve of a panel. Several runs show no training part."""
    lines = []
    for name, points in sorted(run.values.items(), key=lambda item: item[0].split("/")[1], reverse=True):
        net, end = name.split("/", 1)
        if end not in ends:
            continue
        training = end.startswith("train_") and len(ends) > 1
        if training and not alone:
            continue
        label = net if alone or net == run.name else f"{run.name}: {net}"
        style = ":" if training else "-" if len(points) > 1 else "o"
        lines.append((f"{label}, training" if training else label, style, points))
    return lines

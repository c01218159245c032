"""How all plots look: one palette that colour-blind people can tell apart, one grid, one way to be saved.

Figures are made by matplotlib's objects and drawn by Agg: there is no global state, and no window.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from agewise._files import atomic_write

# Okabe, Ito: «Color Universal Design», 2008; without its yellow, which is too light for lines on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
LINES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
INK, PALE = "#222222", "#d9d9d9"
DENSITY = "cividis"
_DPI = 130
_SETTINGS: dict[str, Any] = {
    "font.size": 10,
    "font.family": "DejaVu Sans",
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "axes.grid": True,
    "grid.color": PALE,
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "svg.hashsalt": "agewise",
}


@dataclass(frozen=True, kw_only=True)
class Plot:
    """A figure that is ready to be saved.

    Args:
        name: of its files, without suffix.
        title: for the report.
        caption: what it shows and of how many faces, in sentences.
        png: its bytes.
        svg: as `png`; empty for pictures of faces.
        wide: it takes the whole width of a page.
    """

    name: str
    title: str
    caption: str
    png: bytes
    svg: bytes = b""
    wide: bool = False

    def save(self, folder: Path) -> None:
        """Write the PNG, and the SVG beside it where there is one, whole or not at all."""
        for suffix, data in ((".png", self.png), (".svg", self.svg)):
            if data:
                with atomic_write(folder / (self.name + suffix)) as file:
                    file.write(data)


class Canvas:
    """A figure and its axes while they are drawn, with our settings and nobody else's.

    with Canvas(columns=2) as canvas:
        canvas.axes[0].plot(…)
    canvas.plot(name=…, title=…, caption=…)
    """

    def __init__(
        self, *, rows: int = 1, columns: int = 1, width: float = 6.2, height: float = 4.2, **shared: Any
    ) -> None:
        self._context = mpl.rc_context()
        self._size = (width, height)
        self._grid = (rows, columns)
        self._shared = shared
        self.figure: Figure
        self.axes: list[Axes] = []

    def __enter__(self) -> Canvas:
        """Our settings from here on."""
        self._context.__enter__()
        # A user's own matplotlibrc must not change our figures; the backend is none of our business.
        mpl.rcParams.update({key: value for key, value in mpl.rcParamsDefault.items() if "backend" not in key})
        mpl.rcParams.update(_SETTINGS)
        self.figure = Figure(figsize=self._size, layout="constrained", dpi=_DPI)
        FigureCanvasAgg(self.figure)
        self.axes = list(self.figure.subplots(*self._grid, squeeze=False, **self._shared).ravel())
        return self

    def __exit__(self, *failure: Any) -> None:
        """The settings that were there before."""
        self._context.__exit__(*failure)

    def plot(self, *, name: str, title: str, caption: str, wide: bool = False) -> Plot:
        """The drawn figure; call it inside the block."""
        png, svg = io.BytesIO(), io.BytesIO()
        self.figure.savefig(png, format="png", metadata={"Software": None})
        self.figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": "agewise-lab"})
        return Plot(name=name, title=title, caption=caption, png=png.getvalue(), svg=svg.getvalue(), wide=wide)


def look(place: int) -> dict[str, Any]:
    """Colour, line and marker of the model at `place`: all three differ, so that print without colour works too."""
    return {
        "color": COLOURS[place % len(COLOURS)],
        "linestyle": LINES[place % len(LINES)],
        "marker": MARKERS[place % len(MARKERS)],
    }


def line_look(place: int) -> dict[str, Any]:
    """As `look`, without markers, for dense curves."""
    return look(place) | {"marker": "", "linewidth": 1.8}

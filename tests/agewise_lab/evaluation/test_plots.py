"""Plots hold the numbers that they should, and are left out where there is nothing to draw."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import cv2
import matplotlib as mpl
import numpy as np
import pytest

from agewise.types import UInt8Array
from agewise_lab.evaluation.plots import plots_of_all, plots_of_one
from agewise_lab.evaluation.plots.ages import cumulative_scores, density, errors_by_age
from agewise_lab.evaluation.plots.classes import gender_confusion
from agewise_lab.evaluation.plots.mosaics import mosaic
from agewise_lab.evaluation.plots.style import COLOURS, Canvas, Plot, look
from agewise_lab.evaluation.plots.trust import coverage_by_band, over_eighteen
from agewise_lab.evaluation.predictions import Predictions
from agewise_lab.evaluation.protocols.adience import CLASSES


def table(count: int = 264, seed: int = 0) -> Predictions:
    rng = np.random.default_rng(seed)
    truth = np.arange(count) % 44.0
    years = np.clip(truth + rng.normal(0, 5, count), 0, 100)
    female = rng.integers(0, 2, count).astype(float)
    return Predictions.of(
        {
            "name": [f"{i}.jpg" for i in range(count)],
            "truth": truth,
            "years": years,
            "std_years": rng.uniform(1, 5, count),
            "low": years - 8,
            "high": years + 8,
            "is_female": female,
            "female_probability": np.clip(female * 0.6 + rng.uniform(0, 0.4, count), 0, 1),
        }
    )


def _words(plot: Plot) -> str:
    """The words of an SVG stand in its comments, as letters are drawn."""
    return plot.svg.decode()


def test_all_plots_of_two_models() -> None:
    models = {"one": table(), "two": table(seed=1)}
    plots = plots_of_all(models)
    assert [plot.name for plot in plots] == [
        "error-by-age",
        "cumulative-score",
        "coverage",
        "gender-reliability",
        "risk-coverage",
        "over-18",
    ]
    for plot in plots:
        assert plot.png.startswith(b"\x89PNG")
        ET.fromstring(plot.svg)
        assert "264" in plot.caption or plot.name == "over-18", plot.caption
        assert "<!-- one" in _words(plot) or plot.name == "risk-coverage"


def test_plots_of_one_model() -> None:
    names = [plot.name for plot in plots_of_one("m", table(), 3, classes=CLASSES)]
    assert names == ["density-3", "confusion-gender-3", "confusion-ages-3", "confusion-classes-3"]


def test_what_is_not_known_is_not_drawn() -> None:
    bare = Predictions.of({"name": ["a", "b"], "years": [1.0, 2.0]})
    assert plots_of_all({"m": bare}) == []
    assert plots_of_one("m", bare, 0, classes=CLASSES) == []
    without = table()
    nothing = np.full(len(without), np.nan)
    aged = without.with_columns(low=nothing, high=nothing, female_probability=nothing, std_years=nothing)
    assert [plot.name for plot in plots_of_all({"m": aged})] == ["error-by-age", "cumulative-score", "over-18"]


def test_figures_leave_no_trace_in_matplotlib() -> None:
    before = dict(mpl.rcParams)
    assert density("m", table()) is not None
    assert dict(mpl.rcParams) == before


def test_a_plot_is_the_same_each_time() -> None:
    first, second = (cumulative_scores({"m": table()}) for _ in range(2))
    assert first is not None
    assert second is not None
    assert (first.png, first.svg) == (second.png, second.svg)


def test_saving(tmp_path: Path) -> None:
    Plot(name="x", title="t", caption="c", png=b"p", svg=b"s").save(tmp_path)
    Plot(name="y", title="t", caption="c", png=b"p").save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.png", "x.svg", "y.png"]
    assert (tmp_path / "x.svg").read_bytes() == b"s"


def test_models_differ_in_more_than_colour() -> None:
    looks = [tuple(look(place).values()) for place in range(len(COLOURS))]
    assert len(set(looks)) == len(COLOURS)
    assert [one[0] for one in looks] == list(COLOURS)


def test_the_drawn_curve_is_the_cumulative_score(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Canvas] = []
    original = Canvas.plot

    def watched(self: Canvas, **words: str) -> Plot:
        drawn.append(self)
        return original(self, **words)  # type: ignore[arg-type]

    monkeypatch.setattr(Canvas, "plot", watched)
    faces = Predictions.of({"name": list("abcd"), "truth": [10, 10, 10, 10], "years": [10, 12, 13, 30]})
    cumulative_scores({"m": faces})
    x, y = drawn[0].axes[0].lines[0].get_data()
    at = dict(zip(np.asarray(x).tolist(), np.asarray(y).tolist(), strict=True))
    assert (at[0.0], at[1.75], at[2.0], at[3.0], at[19.75], at[20.0]) == (25, 25, 50, 75, 75, 100)

    drawn.clear()
    many = Predictions.of(
        {"name": [str(i) for i in range(10)], "truth": [11.0] * 5 + [31.0] * 5, "years": [13.0] * 5 + [27.0] * 5}
    )
    errors_by_age({"m": many})
    above, below = drawn[0].axes
    assert np.asarray(above.lines[0].get_data()).tolist() == [[11, 31], [2, 4]]
    assert np.asarray(below.lines[0].get_data()).tolist() == [[11, 31], [2, -4]]


def test_small_subsets_are_left_out_of_the_coverage_and_told() -> None:
    few = table()
    truth = few.truth.copy()
    truth[truth == 17] = 18
    truth[:2] = 17.5
    plot = coverage_by_band({"m": few.with_columns(truth=truth)})
    assert plot is not None
    assert "17 (2)" in plot.caption


def test_a_gate_needs_faces_on_both_sides() -> None:
    adults = table()
    assert over_eighteen({"m": adults.select(adults.truth >= 18)}) is None


def test_confusion_of_gender_counts_faces() -> None:
    plot = gender_confusion("m", table())
    assert plot is not None
    assert plot.caption.startswith("n = 264 faces")


def test_a_mosaic_has_no_svg_and_survives_missing_pictures(tmp_path: Path, chip: UInt8Array) -> None:
    cv2.imwrite(str(tmp_path / "0.jpg"), chip[:, :, ::-1])
    plot = mosaic("m", table(30), tmp_path)
    assert plot is not None
    assert plot.svg == b""
    assert len(plot.png) > 5000
    assert mosaic("m", Predictions.of({"name": ["a"], "years": [1.0]}), tmp_path) is None

"""Plots of an evaluation: matplotlib's Figure and Agg, no state of pyplot; each as PNG and SVG."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from agewise_lab.evaluation.plots.ages import cumulative_scores, density, errors_by_age
from agewise_lab.evaluation.plots.classes import band_confusion, class_confusion, gender_confusion
from agewise_lab.evaluation.plots.mosaics import mosaic
from agewise_lab.evaluation.plots.stability import stability_curves
from agewise_lab.evaluation.plots.style import Plot
from agewise_lab.evaluation.plots.trust import coverage_by_band, gender_reliability, over_eighteen, risk_and_coverage
from agewise_lab.evaluation.predictions import Predictions
from agewise_lab.evaluation.protocols.classes import AgeClasses
from agewise_lab.evaluation.scoring import class_columns

__all__ = ["Plot", "plots_of_all", "plots_of_one", "stability_curves"]


def plots_of_all(tables: Mapping[str, Predictions]) -> list[Plot]:
    """The figures that hold all models, without those that there is nothing for."""
    makers = (
        *(errors_by_age, cumulative_scores, coverage_by_band),
        *(gender_reliability, risk_and_coverage, over_eighteen),
    )
    return [plot for plot in (maker(tables) for maker in makers) if plot is not None]


def plots_of_one(
    name: str, table: Predictions, place: int, *, classes: AgeClasses | None = None, root: Path | None = None
) -> list[Plot]:
    """The figures of one model; with `root` small pictures of its best and worst."""
    found = [density(name, table, place), gender_confusion(name, table, place), band_confusion(name, table, place)]
    if classes is not None:
        columns = class_columns(table, classes)
        found.append(class_confusion(name, columns.truths, columns.estimates, classes.names, place))
    if root is not None:
        found.append(mosaic(name, table, root, place))
    return [plot for plot in found if plot is not None]

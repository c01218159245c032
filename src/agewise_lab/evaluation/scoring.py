"""From a table of predictions to figures: what is measured of which columns, over folds and between models."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from agewise.types import FloatArray
from agewise_lab.evaluation.measures import (
    MEASURES,
    Faces,
    Figure,
    PairedTest,
    measure_table,
    paired_test,
)
from agewise_lab.evaluation.predictions import BoolArray, IntArray, Predictions, on_common_faces, subject_codes
from agewise_lab.evaluation.protocols.classes import AgeClasses

_LEAST_COMMON = 10


@dataclass(frozen=True, kw_only=True)
class ClassColumns:
    """Age classes of n faces: the true one and the estimated one, -1 where there is none, and whether top-2 holds.

    `in_top2` is None where the model gives no distribution.
    """

    truths: IntArray
    estimates: IntArray
    in_top2: BoolArray | None


def class_columns(table: Predictions, classes: AgeClasses) -> ClassColumns:
    """What a protocol with age classes scores.

    The estimate is the model's own class where it gives nothing else; the likeliest class where its distribution is
    over ranges of years; else the class that its age in years falls into. Top-2 sums the distribution by class.
    """
    truths = classes.of_labels(table.truth, table.truth_low, table.truth_high)
    estimates = classes.of_years(table.years)
    in_top2 = None
    if table.probs_over_ages is not None and table.class_years is not None:
        mass = classes.mass(table.probs_over_ages, table.class_years)
        if (table.class_years[:, 1] > table.class_years[:, 0]).any():
            estimates = mass.argmax(axis=1)
        in_top2 = (np.argsort(-mass, axis=1, kind="stable")[:, :2] == truths[:, None]).any(axis=1)
    estimates = np.where(table.class_id >= 0, table.class_id, estimates)
    if estimates.max(initial=-1) >= len(classes.years):
        raise ValueError(
            f"class_id goes from 0 to {len(classes.years) - 1} ({', '.join(classes.names)}), got {estimates.max()}"
        )
    estimates = np.where(table.found, estimates, -1).astype(np.int64)
    return ClassColumns(truths=truths, estimates=estimates, in_top2=in_top2)


def faces_of(table: Predictions, classes: AgeClasses | None = None) -> Faces:
    """The columns that measures are made from; those that hold nothing are left out, and so are their measures."""

    def known(column: FloatArray) -> FloatArray | None:
        return column if np.isfinite(column).any() else None

    scored = None if classes is None else class_columns(table, classes)
    has_classes = scored is not None and (scored.truths >= 0).any()
    gender = known(table.is_female) is not None
    declines = bool((table.found & ~table.answered).any() or (table.reasons != "").any())
    return Faces(
        estimates=table.years,
        truths=known(table.truth),
        is_female=table.is_female if gender else None,
        female_probability=known(table.female_probability) if gender else None,
        gender_sure=known(table.gender_sure) if gender else None,
        low=known(table.low),
        high=known(table.high),
        group=table.group if (table.group != "").any() else None,
        subjects=subject_codes(table),
        answered=table.answered if declines else None,
        apparent=known(table.apparent),
        apparent_std=known(table.apparent_std),
        classes=scored.truths if scored is not None and has_classes else None,
        class_estimates=scored.estimates if scored is not None and has_classes else None,
        in_top2=scored.in_top2 if scored is not None and has_classes else None,
    )


@dataclass(frozen=True, kw_only=True)
class Headline:
    """One figure that papers report: over all faces with its interval, and over the folds where there are several.

    `fold_mean` and `fold_std` are NaN where there is one fold; the deviation has n − 1 in its denominator.
    """

    measure: str
    count: int
    value: float
    low: float
    high: float
    fold_mean: float = float("nan")
    fold_std: float = float("nan")
    folds: int = 1


def headlines(faces: Faces, splits: Sequence[str], figures: Sequence[Figure], names: Sequence[str]) -> list[Headline]:
    """The protocol's own figures, without those that the labels or the model give nothing for."""
    overall = {figure.measure: figure for figure in figures if figure.name == "all"}
    known = {measure.name for measure in MEASURES}
    folds = _folds(splits)
    found = []
    for name in names:
        assert name in known, name
        if name not in overall:
            continue
        figure = overall[name]
        made = Headline(measure=name, count=figure.count, value=figure.value, low=figure.low, high=figure.high)
        if len(folds) > 1:
            made = _over_folds(made, faces, folds)
        found.append(made)
    return found


def _folds(splits: Sequence[str]) -> list[BoolArray]:
    words = np.asarray(splits)
    return [words == word for word in np.unique(words)]


def _over_folds(made: Headline, faces: Faces, folds: Sequence[BoolArray]) -> Headline:
    values = [value for value in (_plain(made.measure, faces.select(rows)) for rows in folds) if np.isfinite(value)]
    if len(values) < 2:
        return made
    mean, std = float(np.mean(values)), float(np.std(values, ddof=1))
    return dataclasses.replace(made, fold_mean=mean, fold_std=std, folds=len(values))


def _plain(name: str, faces: Faces) -> float:
    """A measure's value alone: NaN where a fold has nothing for it."""
    measure = next(measure for measure in MEASURES if measure.name == name)
    terms = np.asarray(measure.terms(faces, 0.9), dtype=np.float64).reshape(len(faces), -1)
    terms = terms[~np.isnan(terms).any(axis=1)]
    if not len(terms) or measure.combine is None:
        return float("nan")
    with np.errstate(invalid="ignore", divide="ignore"):
        return float(measure.combine(terms.sum(axis=0), np.float64(len(terms))))


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two models on the faces that both found."""

    model_a: str
    model_b: str
    test: PairedTest


def comparisons(tables: Mapping[str, Predictions]) -> list[Comparison]:
    """Every pair of models, on the faces that all models found and that have an age."""
    cut = on_common_faces(list(tables.values()))
    if not cut:
        return []
    usable = np.isfinite(cut[0].truth)
    for table in cut:
        usable &= np.isfinite(table.years)
    if usable.sum() < _LEAST_COMMON:
        return []
    subjects = subject_codes(cut[0].select(usable))
    made = []
    for (name_a, a), (name_b, b) in itertools.combinations(zip(tables, cut, strict=True), 2):
        test = paired_test(a.years[usable], b.years[usable], a.truth[usable], subjects)
        made.append(Comparison(model_a=name_a, model_b=name_b, test=test))
    return made


def figures_of(table: Predictions, classes: AgeClasses | None = None) -> tuple[Figure, ...]:
    """The long table of all measures of all subsets."""
    return measure_table(faces_of(table, classes), interval_level=table.provenance.level)

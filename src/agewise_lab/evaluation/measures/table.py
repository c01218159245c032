"""All measures of all subsets of faces, each with its interval: one long table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from agewise.errors import unknown_name
from agewise.types import FloatArray
from agewise_lab.evaluation.measures.bootstrap import ROUNDS, percentile_interval, resampled_sums, units_of
from agewise_lab.evaluation.measures.definitions import MEASURES, Measure
from agewise_lab.evaluation.measures.faces import Faces
from agewise_lab.evaluation.measures.gender import area_under_curve, auc_interval
from agewise_lab.evaluation.measures.grid import DIMENSIONS, Grid, Subset
from agewise_lab.evaluation.measures.rates import binomial_interval

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measure of one subset of faces.

    Args:
        band: of the true age, or None for all of them, those of unknown age too.
        sex: "female" or "male", the label; or None for all.
        group: the data set's label, or None for all.
        measure: its name in `MEASURES`.
        count: the faces that it is made of.
        subjects: of how many people they are; `count` where that is unknown.
        value: in the measure's unit, years or a share.
        low, high: the interval of `value`; NaN where there is none, as for a single face or subject.
        method: of the interval: "bootstrap", "clopper-pearson" or "delong".
    """

    band: str | None
    sex: str | None
    group: str | None
    measure: str
    count: int
    subjects: int
    value: float
    low: float
    high: float
    method: str

    @property
    def name(self) -> str:
        """The subset in words: "all", "18-30", "18-30, female, Asian"."""
        return ", ".join(part for part in (self.band, self.sex, self.group) if part is not None) or "all"


@dataclass(frozen=True, slots=True)
class _Plan:
    """Of a measure the places of its terms and of its count among the columns, and which faces count."""

    measure: Measure
    places: list[int]
    count_place: int
    counted: BoolArray

    def values(self, sums: FloatArray) -> FloatArray:
        """Sums (rounds, subsets, k) → values (rounds, subsets); NaN where there are none."""
        if self.measure.combine is None:
            return np.full(sums.shape[:-1], np.nan)
        with np.errstate(invalid="ignore", divide="ignore"):
            return self.measure.combine(sums[..., self.places], sums[..., self.count_place])


def measure_table(
    faces: Faces,
    *,
    measures: Sequence[str] | None = None,
    by: Sequence[str] = DIMENSIONS,
    crossings: bool = True,
    level: float = 0.95,
    interval_level: float = 0.9,
    rounds: int = ROUNDS,
    seed: int = 0,
) -> tuple[Figure, ...]:
    """Every measure of every subset that has faces for it.

    The subsets are all faces, those of each age band, sex and group, and their crossings; in that order, and in each
    the measures in the order of `MEASURES`. Intervals are percentile bootstrap ones, by subject where subjects are
    known (method "bootstrap"), but for these: the AUC's ("delong"); and with "clopper-pearson" the shares that
    `MEASURES` marks as binomial, where subjects are unknown, and any share of faces that is 0 or 1, which no
    bootstrap can vary: there each subject counts once.

    Args:
        faces: predictions beside labels.
        measures: names of those that are wanted; by default all that the faces have the columns for.
        by: what subsets are made by, of "band", "sex" and "group".
        crossings: False leaves out the subsets of two and three kinds.
        level: of the intervals of the figures.
        interval_level: of the predicted intervals, for their score.
        rounds: of the bootstrap.
        seed: the same faces and seed give the same table.

    Raises:
        ValueError: no faces, an unknown measure or dimension, or a measure that the faces lack columns for.
    """
    if not len(faces):
        raise ValueError("there are no faces to measure")
    grid = Grid.of(faces, by, crossings)
    columns, plans = _columns(faces, _chosen(faces, measures), interval_level)
    units, unit_count = units_of(faces.subjects, len(faces))
    cells = grid.cells()
    totals = np.stack([np.bincount(cells, weights=column, minlength=grid.cell_count) for column in columns.T], axis=1)
    exact = grid.sums(totals[None])
    alive = np.flatnonzero(exact[0, :, [plan.count_place for plan in plans]].any(axis=0))
    values = np.stack([plan.values(exact)[0, alive] for plan in plans], axis=1)

    replicates = []
    for block in resampled_sums(columns, cells, grid.cell_count, units, unit_count, rounds, seed):
        sums = grid.sums(block)[:, alive]
        replicates.append(np.stack([plan.values(sums) for plan in plans], axis=2))
    low, high = percentile_interval(np.concatenate(replicates), level)

    subsets = grid.subsets()
    people: dict[int, IntArray] = {}
    figures = []
    for row, place in enumerate(alive):
        subset = subsets[place]
        for column, plan in enumerate(plans):
            count = round(float(exact[0, place, plan.count_place]))
            if faces.subjects is not None and plan.count_place not in people:
                people[plan.count_place] = grid.distinct(units, plan.counted)
            subjects = count if faces.subjects is None else int(people[plan.count_place][place])
            ends = (float(low[row, column]), float(high[row, column]))
            figure = _figure(faces, grid, subset, plan, count, subjects, float(values[row, column]), ends, level)
            figures += [] if figure is None else [figure]
    return tuple(figures)


def _chosen(faces: Faces, names: Sequence[str] | None) -> list[Measure]:
    """The measures of these names, or those that the faces have the columns for."""
    known = {measure.name: measure for measure in MEASURES}
    if names is None:
        return [m for m in MEASURES if all(getattr(faces, need) is not None for need in m.needs)]
    for name in names:
        if name not in known:
            raise ValueError(unknown_name("measure", name, known))
        lacking = [need for need in known[name].needs if getattr(faces, need) is None]
        if lacking:
            raise ValueError(f"the measure {name!r} needs {', '.join(lacking)}, which the faces do not have")
    return [measure for measure in MEASURES if measure.name in names]


def _columns(faces: Faces, measures: Sequence[Measure], interval_level: float) -> tuple[FloatArray, list[_Plan]]:
    """The columns (n, k) that are summed, each kind of count once, and what each measure takes of them."""
    columns: list[FloatArray] = []
    counts: dict[bytes, int] = {}
    plans = []
    for measure in measures:
        terms = np.asarray(measure.terms(faces, interval_level), dtype=np.float64).reshape(len(faces), -1)
        counted = ~np.isnan(terms).any(axis=1)
        key = np.packbits(counted).tobytes()
        if key not in counts:
            counts[key] = len(columns)
            columns.append(counted.astype(np.float64))
        places = [] if measure.combine is None else list(range(len(columns), len(columns) + terms.shape[1]))
        if places:
            columns += list(np.where(counted[:, None], terms, 0.0).T)
        plans.append(_Plan(measure, places, counts[key], counted))
    return np.stack(columns, axis=1), plans


def _figure(
    faces: Faces,
    grid: Grid,
    subset: Subset,
    plan: _Plan,
    count: int,
    subjects: int,
    value: float,
    ends: tuple[float, float],
    level: float,
) -> Figure | None:
    """A figure with the right kind of interval, or None where the subset has no such value."""
    measure, method = plan.measure, "bootstrap"
    if count == 0:
        return None
    if measure.combine is None:
        value, ends, method = *_auc(faces, grid.rows(subset) & plan.counted, level), "delong"
    elif measure.binary and (value in (0.0, 1.0) or (measure.binomial and faces.subjects is None)):
        ends, method = binomial_interval(round(value * subjects), subjects, level), "clopper-pearson"
    elif subjects < 2:
        ends = (float("nan"), float("nan"))
    if np.isnan(value):
        return None
    return Figure(
        **grid.labels(subset),
        measure=measure.name,
        count=count,
        subjects=subjects,
        value=value,
        low=ends[0],
        high=ends[1],
        method=method,
    )


def _auc(faces: Faces, rows: BoolArray, level: float) -> tuple[float, tuple[float, float]]:
    """The AUC of some faces and its interval."""
    assert faces.female_probability is not None
    share, female = faces.female_probability[rows], np.asarray(faces.is_female, dtype=np.float64)[rows] >= 0.5
    subjects = None if faces.subjects is None else units_of(faces.subjects[rows], len(share))[0]
    return area_under_curve(share, female), auc_interval(share, female, subjects, level)

"""The fairness gate: limits that every group of people has to keep, judged from a table of figures.

*How it decides.* A group fails where the value itself breaks the limit; `strict` asks for more: that the end of the
95 % interval on the limit's side keeps it, too. A group of fewer than `least` faces is «too few to judge»: that is
said, and in the strict way it fails. A limit that no group at all can be judged by fails in either way, as nothing
was shown.

*Gaps* are between people, so they are taken within the sexes and within the groups, not between age bands: old faces
are harder for everyone. A group's gap is its distance to the best group of its kind, with the interval of a
difference of two independent figures (MOVER: Donner, Zou, Statistical Methods in Medical Research 21, 2012).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from agewise_lab.evaluation.measures import Figure

LEAST = 100
State = Literal["holds", "fails", "too few"]

OPPOSITE = {"challenge25_fpr17": "challenge25_fnr"}
"""Of a measure of one direction of error, that of the other: it is shown beside, as either can be had for nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What is asked; None is not asked. Shares are 0 to 1.

    Args:
        max_gap: MAE of a sex or group above that of the best, years.
        max_mae: MAE of all, of each age band, sex and group, years.
        max_bias: mean signed error of the same, either way, years.
        min_coverage: share of true ages inside their intervals, of the same.
        max_fpr17: share of those aged 17 who are estimated at 25 or older, of all, each sex and group.
        min_gender: share of gender labels that are right, of all, each sex and group.
        max_gender_gap: the best sex's or group's share of right gender labels above another's.
        least: faces that a group needs to be judged.
        strict: the interval must keep the limit, not the value alone.
        crossings: judge the crossings of band, sex and group, too.

    Raises:
        ValueError: no limit at all, a negative or infinite one, a share above 1, or `least` below 1.
    """

    max_gap: float | None = None
    max_mae: float | None = None
    max_bias: float | None = None
    min_coverage: float | None = None
    max_fpr17: float | None = None
    min_gender: float | None = None
    max_gender_gap: float | None = None
    least: int = LEAST
    strict: bool = False
    crossings: bool = False

    def __post_init__(self) -> None:
        if self.least < 1:
            raise ValueError(f"least must be at least 1 face, got {self.least}")
        asked = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name[:4] in ("max_", "min_")}
        if all(value is None for value in asked.values()):
            raise ValueError(f"there is nothing to judge by: give at least one of {', '.join(asked)}")
        for name, value in asked.items():
            share = name in ("min_coverage", "max_fpr17", "min_gender", "max_gender_gap")
            if value is not None and not (0 <= value <= (1 if share else math.inf) and math.isfinite(value)):
                wanted = "a share, 0 to 1" if share else "years, 0 or more"
                raise ValueError(f"{name} must be {wanted}, got {value}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One limit for one group of people.

    Args:
        limit_name: as in `Limits`.
        subset: "all", "female", "18-30, Asian".
        state: "holds", "fails" or "too few".
        value, low, high: what was judged and its 95 % interval; a gap where the limit is one. NaN where unknown.
        limit: the threshold.
        count: faces.
        beside: for a person: the best group of a gap, the other direction of an error; or "".
    """

    limit_name: str
    subset: str
    state: State
    value: float
    low: float
    high: float
    limit: float
    count: int
    beside: str = ""


def judge(figures: Sequence[Figure], limits: Limits) -> tuple[Verdict, ...]:
    """All verdicts on a model's long table, limit by limit; never empty.

    >>> def of(sex, mae, n):
    ...     return Figure(band=None, sex=sex, group=None, measure="mae", count=n, subjects=n, value=mae,
    ...                   low=mae - 0.5, high=mae + 0.5, method="bootstrap")
    >>> table = [of("female", 6.0, 200), of("male", 5.0, 200)]
    >>> [(v.subset, v.state, v.value) for v in judge(table, Limits(max_gap=0.8))]
    [('female', 'fails', 1.0), ('male', 'holds', 0.0)]
    >>> [v.state for v in judge(table, Limits(max_gap=1.2))], [v.state for v in judge(table, Limits(max_mae=7))]
    (['holds', 'holds'], ['holds', 'holds'])
    >>> [v.state for v in judge(table, Limits(max_gap=1.2, strict=True))]
    ['fails', 'holds']
    """
    made: list[Verdict] = []
    for name, rule in _RULES.items():
        limit = getattr(limits, name)
        if limit is None:
            continue
        verdicts = list(rule(figures, name, limit, limits))
        if all(math.isnan(verdict.value) for verdict in verdicts):
            verdicts.append(_nothing(name, limit, verdicts))
        made += verdicts
    return tuple(made)


def _nothing(name: str, limit: float, verdicts: Sequence[Verdict]) -> Verdict:
    """The failure of a limit that no group could be judged by."""
    count = max((verdict.count for verdict in verdicts), default=0)
    nan = math.nan
    why = "no group has faces enough" if verdicts else "the result has no such figure"
    return Verdict(
        limit_name=name, subset="all", state="fails", value=nan, low=nan, high=nan, limit=limit, count=count, beside=why
    )


def _kind(figure: Figure) -> tuple[bool, bool, bool]:
    return figure.band is not None, figure.sex is not None, figure.group is not None


def _judged(figures: Sequence[Figure], measure: str, *, bands: bool, crossings: bool) -> list[Figure]:
    """The figures of a measure whose subsets a limit is about; of count 0 for a subset that has no such figure."""
    about: dict[str, Figure] = {}
    for figure in figures:
        if (bands or figure.band is None) and (crossings or sum(_kind(figure)) <= 1):
            if figure.measure == measure:
                about[figure.name] = figure
            elif figure.name not in about:
                about[figure.name] = dataclasses.replace(
                    figure, measure=measure, count=0, subjects=0, value=math.nan, low=math.nan, high=math.nan
                )
    return list(about.values())


def _state(value: float, low: float, high: float, limit: float, limits: Limits, *, upper: bool) -> State:
    worst = (high if upper else low) if limits.strict else value
    keeps = worst <= limit if upper else worst >= limit
    return "holds" if keeps else "fails"  # NaN keeps nothing


def _too_few(name: str, figure: Figure, limit: float, limits: Limits) -> Verdict:
    few = figure.count < limits.least
    return Verdict(
        limit_name=name,
        subset=figure.name,
        state="fails" if limits.strict else "too few",
        value=math.nan,
        low=math.nan,
        high=math.nan,
        limit=limit,
        count=figure.count,
        beside=f"too few to judge, fewer than {limits.least}" if few else "nobody to be compared with",
    )


_Rule = Callable[[Sequence[Figure], str, float, Limits], Iterator[Verdict]]


def _plain(measure: str, *, upper: bool, bands: bool = True, size: bool = False) -> _Rule:
    """A limit for the figure of each subset, or with `size` for its distance from 0."""

    def rule(figures: Sequence[Figure], name: str, limit: float, limits: Limits) -> Iterator[Verdict]:
        others = {figure.name: figure for figure in figures if figure.measure == OPPOSITE.get(measure)}
        for figure in _judged(figures, measure, bands=bands, crossings=limits.crossings):
            if figure.count < limits.least:
                yield _too_few(name, figure, limit, limits)
                continue
            value, low, high = figure.value, figure.low, figure.high
            if size and value < 0:
                value, low, high = -value, -high, -low
            other = others.get(figure.name)
            yield Verdict(
                limit_name=name,
                subset=figure.name,
                state=_state(value, low, high, limit, limits, upper=upper),
                value=value,
                low=low,
                high=high,
                limit=limit,
                count=figure.count,
                beside="" if other is None else f"{other.measure} {other.value:.3g} ({other.count} faces)",
            )

    return rule


def _gap(measure: str, *, most_is_best: bool) -> _Rule:
    """A limit for how much worse a group is than the best of its kind."""
    sign = -1.0 if most_is_best else 1.0

    def rule(figures: Sequence[Figure], name: str, limit: float, limits: Limits) -> Iterator[Verdict]:
        kinds: dict[tuple[bool, bool, bool], list[Figure]] = {}
        for figure in _judged(figures, measure, bands=False, crossings=limits.crossings):
            if any(_kind(figure)):
                kinds.setdefault(_kind(figure), []).append(figure)
        for kind in kinds.values():
            enough = [figure for figure in kind if figure.count >= limits.least]
            if len(enough) < 2:  # one group alone has nobody to be compared with
                yield from (_too_few(name, figure, limit, limits) for figure in kind)
                continue
            best = min(enough, key=lambda figure: sign * figure.value)
            for figure in kind:
                if figure.count < limits.least:
                    yield _too_few(name, figure, limit, limits)
                else:
                    yield _gap_verdict(name, figure, best, sign, limit, limits)

    return rule


def _gap_verdict(name: str, figure: Figure, best: Figure, sign: float, limit: float, limits: Limits) -> Verdict:
    value = sign * (figure.value - best.value)
    low = high = 0.0
    if figure is not best:
        worse = (figure.value - figure.low, figure.high - figure.value)
        better = (best.value - best.low, best.high - best.value)
        below, above = (worse[0], better[1]), (worse[1], better[0])
        if sign < 0:
            below, above = above, below
        low, high = value - math.hypot(*below), value + math.hypot(*above)
    return Verdict(
        limit_name=name,
        subset=figure.name,
        state=_state(value, low, high, limit, limits, upper=True),
        value=value + 0.0,
        low=low,
        high=high,
        limit=limit,
        count=figure.count,
        beside="the best" if figure is best else f"{figure.value:.3g} against {best.value:.3g} of {best.name}",
    )


_RULES: dict[str, _Rule] = {
    "max_gap": _gap("mae", most_is_best=False),
    "max_mae": _plain("mae", upper=True),
    "max_bias": _plain("bias", upper=True, size=True),
    "min_coverage": _plain("coverage", upper=False),
    "max_fpr17": _plain("challenge25_fpr17", upper=True, bands=False),
    "min_gender": _plain("gender_accuracy", upper=False, bands=False),
    "max_gender_gap": _gap("gender_accuracy", most_is_best=True),
}

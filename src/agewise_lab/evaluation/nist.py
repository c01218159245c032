"""The block of figures that NIST's evaluation of age estimators has, both directions of error beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from agewise_lab.evaluation.measures import (
    Rate,
    binomial_interval,
    challenge_grid,
    mae_by_age_and_sex,
    online_safety,
    rate,
    trade_off,
)
from agewise_lab.evaluation.predictions import Predictions, subject_codes


@dataclass(frozen=True, kw_only=True)
class NistFigure:
    """One figure: `block` and `title` say what it is, `opposite` is the title of the other direction's figure, or ''.

    `low` and `high` are its 95 % interval, binomial of a share and by bootstrap of years.
    """

    block: str
    title: str
    value: float
    low: float
    high: float
    count: int
    unit: str
    opposite: str = ""


def nist_figures(table: Predictions) -> list[NistFigure]:
    """The block; figures that no face is there for are left out."""
    faces = table.select(np.isfinite(table.years) & np.isfinite(table.truth))
    if not len(faces):
        return []
    found = [*_mean_error(faces), *_challenge(faces), *_online_safety(faces), *_gate(faces)]
    return [figure for figure in found if figure.count and np.isfinite(figure.value)]


def _mean_error(faces: Predictions) -> Sequence[NistFigure]:
    known = faces.select(np.isfinite(faces.is_female))
    if not len(known):
        return ()
    found = mae_by_age_and_sex(known.years, known.truth, known.is_female >= 0.5, subjects=subject_codes(known))
    missing = f", {found.empty} of {found.count.size} without a face" if found.empty else ""
    rows = (
        (f"MAE, mean over ages × sexes{missing}", found.mean, found.mean_low, found.mean_high),
        (
            f"mean error (above 0: too old), mean over ages × sexes{missing}",
            found.mean_bias,
            found.mean_bias_low,
            found.mean_bias_high,
        ),
    )
    return [
        NistFigure(
            block="Ages 18-30",
            title=title,
            value=value,
            low=low,
            high=high,
            count=int(found.count.sum()),
            unit="years",
        )
        for title, value, low, high in rows
    ]


def _share(block: str, title: str, found: Rate, opposite: str = "") -> NistFigure:
    return NistFigure(
        block=block,
        title=title,
        value=found.value,
        low=found.low,
        high=found.high,
        count=found.count,
        unit="share",
        opposite=opposite,
    )


def _challenge(faces: Predictions) -> Sequence[NistFigure]:
    grid = challenge_grid(faces.years, faces.truth, (25,), (17, 17), (18, 30))
    minors = grid.false_positive[0][0]
    adults = _pooled(grid.false_negative[0])
    passes, refused = "aged 17 who pass", "aged 18-30 who are challenged"
    return (
        _share("Challenge 25", passes, minors, refused),
        _share("Challenge 25", refused, adults, passes),
    )


def _pooled(rates: Sequence[Rate]) -> Rate:
    """Several shares as one of all their faces."""
    hits, count = sum(one.hits for one in rates), sum(one.count for one in rates)
    low, high = binomial_interval(hits, count)
    return Rate(hits=hits, count=count, low=low, high=high)


def _online_safety(faces: Predictions) -> Sequence[NistFigure]:
    found = online_safety(faces.years, faces.truth)
    down, up = "aged 13-16, estimated younger", "aged 13-16, estimated older"
    younger, older = "aged 8-12, estimated 13-16", "aged 17-22, estimated 13-16"
    block = "Child online safety 13-16"
    return (
        _share(block, "aged 13-16, estimated so", found.true_positive),
        _share(block, down, found.false_negative_down, up),
        _share(block, up, found.false_negative_up, down),
        _share(block, younger, found.false_positive_younger, older),
        _share(block, older, found.false_positive_older, younger),
    )


def _gate(faces: Predictions) -> Sequence[NistFigure]:
    """Both errors of passing whoever is estimated at 18 or older."""
    years = np.floor(faces.truth)
    minors = faces.years[(years >= 14) & (years <= 17)] >= 18
    adults = faces.years[(years >= 18) & (years <= 30)] < 18
    passes, refused = "aged 14-17 who pass", "aged 18-30 who do not"
    curve = trade_off(faces.years, faces.truth)
    figures = [
        _share("Over 18, by the estimate alone", passes, rate(minors), refused),
        _share("Over 18, by the estimate alone", refused, rate(adults), passes),
    ]
    _, refused_then = curve.false_negative_at(0.05)
    if np.isfinite(refused_then):
        figures.append(
            NistFigure(
                block="Over 18, by the estimate alone",
                title="aged 18-30 who do not, where the age asked for lets at most 5 % of those aged 14-17 pass",
                value=refused_then,
                low=np.nan,
                high=np.nan,
                count=curve.adults,
                unit="share",
            )
        )
    return figures

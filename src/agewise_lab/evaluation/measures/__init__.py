"""Measures of age and gender estimates: numpy in, figures out; each with its definition, source and a worked example.

One row is one face. Ages are years; a face of age a belongs to the whole year floor(a).

- `faces`: `Faces`, the columns of a set of predictions beside their labels. All but `estimates` may be missing.
- `table`: `measure_table(faces) -> tuple[Figure, ...]`, the long table: subset, count, measure, value, low, high.
  Subsets are all faces, each age band, sex and group, and all their crossings.
- `ages`, `classes`, `gender`, `intervals`: the single measures, as functions of plain arrays.
- `aev`: NIST's, both directions of error side by side. `abstain`: risk and coverage. `paired`: two models, same faces.
- `rates`, `bootstrap`: where the low and high of a figure come from.

    faces = Faces(estimates=…, truths=…, is_female=…, female_probability=…, low=…, high=…, group=…, subjects=…)
    for figure in measure_table(faces):
        figure.name, figure.band, figure.sex, figure.group   # "18-30, female", "18-30", "female", None
        figure.measure, figure.count, figure.value, figure.low, figure.high, figure.method

`docs/evaluation-measures.md` lists them all.
"""

from agewise_lab.evaluation.measures.abstain import RiskCoverage, aurc_interval, oracle_aurc, risk_coverage
from agewise_lab.evaluation.measures.aev import (
    AgeSexErrors,
    ChallengeGrid,
    OnlineSafety,
    TradeOff,
    challenge_grid,
    mae_by_age_and_sex,
    noise_over_frames,
    noise_over_jitter,
    online_safety,
    trade_off,
)
from agewise_lab.evaluation.measures.ages import (
    bias,
    cumulative_accuracy,
    cumulative_score,
    epsilon_error,
    mean_absolute_error,
    root_mean_square_error,
)
from agewise_lab.evaluation.measures.bootstrap import bootstrap_interval
from agewise_lab.evaluation.measures.classes import confusion, exact_accuracy, one_off_accuracy, top_k_accuracy
from agewise_lab.evaluation.measures.faces import AGE_BANDS, Faces, band_of
from agewise_lab.evaluation.measures.gender import (
    Reliability,
    accuracy,
    area_under_curve,
    balanced_accuracy,
    expected_calibration_error,
    reliability,
)
from agewise_lab.evaluation.measures.intervals import coverage, interval_score, mean_width
from agewise_lab.evaluation.measures.paired import PairedTest, paired_test
from agewise_lab.evaluation.measures.rates import Rate, binomial_interval, rate
from agewise_lab.evaluation.measures.table import MEASURES, Figure, measure_table

__all__ = [
    "AGE_BANDS",
    "MEASURES",
    "AgeSexErrors",
    "ChallengeGrid",
    "Faces",
    "Figure",
    "OnlineSafety",
    "PairedTest",
    "Rate",
    "Reliability",
    "RiskCoverage",
    "TradeOff",
    "accuracy",
    "area_under_curve",
    "aurc_interval",
    "balanced_accuracy",
    "band_of",
    "bias",
    "binomial_interval",
    "bootstrap_interval",
    "challenge_grid",
    "confusion",
    "coverage",
    "cumulative_accuracy",
    "cumulative_score",
    "epsilon_error",
    "exact_accuracy",
    "expected_calibration_error",
    "interval_score",
    "mae_by_age_and_sex",
    "mean_absolute_error",
    "mean_width",
    "measure_table",
    "noise_over_frames",
    "noise_over_jitter",
    "one_off_accuracy",
    "online_safety",
    "oracle_aurc",
    "paired_test",
    "rate",
    "reliability",
    "risk_coverage",
    "root_mean_square_error",
    "top_k_accuracy",
    "trade_off",
]

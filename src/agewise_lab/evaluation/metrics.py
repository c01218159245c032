"""The single measures under the name that they had first; they live in `agewise_lab.evaluation.measures`."""

from agewise_lab.evaluation.measures.ages import bias, cumulative_score, mean_absolute_error
from agewise_lab.evaluation.measures.bootstrap import bootstrap_interval
from agewise_lab.evaluation.measures.faces import AGE_BANDS, BoolArray
from agewise_lab.evaluation.measures.gender import accuracy, expected_calibration_error
from agewise_lab.evaluation.measures.intervals import coverage

__all__ = [
    "AGE_BANDS",
    "BoolArray",
    "accuracy",
    "bias",
    "bootstrap_interval",
    "coverage",
    "cumulative_score",
    "expected_calibration_error",
    "mean_absolute_error",
]

"""Crops → predictions, in batches."""

from agewise.estimate.estimator import Estimator, check_golden

__all__ = ["Estimator", "check_golden"]

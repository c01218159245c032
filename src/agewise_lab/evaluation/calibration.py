"""From runs over labelled pictures to what `agewise.calibrate` takes; the formulas are there."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from agewise.calibrate import Labelled
from agewise.types import FloatArray
from agewise_lab.evaluation.run import Results


def pooled(*parts: npt.NDArray[np.floating]) -> FloatArray:
    """Several runs over the same faces (bare crops, the whole chain) as one."""
    return np.concatenate(parts)


def labelled(runs: Sequence[Results]) -> Labelled:
    """The faces that were found in several runs over the same records, one row a find.

    A face that is there twice counts twice: the tables are no surer than its number of faces makes them.
    """
    found = [run.select(run.found) for run in runs]
    probs = [run.probs_over_ages for run in found if run.probs_over_ages is not None]
    return Labelled(
        years=pooled(*(run.years for run in found)),
        std_years=pooled(*(run.std_years for run in found)),
        truths=pooled(*(run.truth for run in found)),
        probs_over_ages=pooled(*probs) if len(probs) == len(found) else None,
    )


def identities(runs: Sequence[Results]) -> npt.NDArray[np.int64]:
    """Which record each row of `labelled` is of, from 0."""
    return np.concatenate([np.flatnonzero(run.found) for run in runs])

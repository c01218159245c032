"""Whether a face passes for over some age, and how often such a verdict was wrong where it was measured.

The rule is that of «Challenge 25»: who looks `challenge` years old or older passes, who looks younger than the
threshold fails, and all between, like every face that the model declines to judge, is unsure. It is a statement
about how old a face looks. Do not let it decide about people.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence
from dataclasses import dataclass

DEFAULT_BUFFER = 7.0
"""Years between the threshold and the challenge age where none is named: 25 for 18."""

_Z95 = 1.959963984540054


class Outcome(enum.StrEnum):
    """What came of a check."""

    PASS = "pass"
    FAIL = "fail"
    UNSURE = "unsure"


@dataclass(frozen=True, slots=True)
class Rate:
    """A share that was counted: `wrong` of `count` faces.

    Raises:
        ValueError: not 0 <= wrong <= count, or no faces at all.
    """

    wrong: int
    count: int

    def __post_init__(self) -> None:
        if not (0 <= self.wrong <= self.count and self.count > 0):
            raise ValueError(f"a rate is of 0 <= wrong <= count faces, at least one, got {self.wrong} of {self.count}")

    @property
    def share(self) -> float:
        """wrong / count, 0 to 1."""
        return self.wrong / self.count

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the share: a rate of 0 of 40 may well be 8 %.

        Source: Wilson, «Probable inference, the law of succession, and statistical inference», JASA 1927.

        >>> low, high = Rate(0, 40).interval
        >>> round(low, 4), round(high, 4)
        (0.0, 0.0876)
        """
        n, share, z = self.count, self.share, _Z95
        middle = (share + z * z / (2 * n)) / (1 + z * z / n)
        half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
        return max(middle - half, 0.0), min(middle + half, 1.0)

    def __str__(self) -> str:
        return f"{100 * self.share:.1f} % ({self.wrong} of {self.count})"


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyTable:
    """How often verdicts at one threshold were right and wrong, counted over labelled faces; part of a model's card.

    Args:
        threshold: years.
        under: faces whose true age is below the threshold.
        over: faces whose true age is the threshold or more.
        failed_under: of `under`, those estimated below the threshold.
        failed_over: of `over`, those estimated below the threshold: the false negatives.
        buffers: years that the challenge age lies above the threshold, rising, 0 or more.
        passed_under: of `under`, those estimated at the challenge age or more, one count a buffer: the false
            positives.
        passed_over: of `over`, the same.
        data: what the faces were.

    Raises:
        ValueError: counts that do not fit together.
    """

    threshold: float
    under: int
    over: int
    failed_under: int
    failed_over: int
    buffers: tuple[float, ...]
    passed_under: tuple[int, ...]
    passed_over: tuple[int, ...]
    data: str

    def __post_init__(self) -> None:
        if not len(self.buffers) == len(self.passed_under) == len(self.passed_over):
            raise ValueError(f"{len(self.buffers)} buffers need as many counts in passed_under and passed_over")
        if list(self.buffers) != sorted(set(self.buffers)) or min(self.buffers, default=0.0) < 0:
            raise ValueError(f"buffers must rise from 0 or more, got {self.buffers}")
        for passed, failed, all_of in (
            (self.passed_under, self.failed_under, self.under),
            (self.passed_over, self.failed_over, self.over),
        ):
            if failed < 0 or any(count < 0 or count + failed > all_of for count in passed):
                raise ValueError(f"of {all_of} faces, {failed} cannot have failed and {max(passed, default=0)} passed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether a face looks over some age. For study, not for decisions about people.

    Args:
        outcome: pass, fail or unsure.
        reason: why, in a short sentence with the figures.
        threshold: years.
        challenge: years; the estimate must reach it to pass.
        false_positive: of faces truly under the threshold, those that passed; None where the card claims nothing.
        false_negative: of faces truly at or over the threshold, those that failed; None as above.
        unsure_over: of faces truly at or over the threshold, those that neither passed nor failed; None as above.
        data: what these rates were measured on, None as above.
    """

    outcome: Outcome
    reason: str
    threshold: float
    challenge: float
    false_positive: Rate | None = None
    false_negative: Rate | None = None
    unsure_over: Rate | None = None
    data: str | None = None


def challenge_age(threshold: float, challenge: float | None) -> float:
    """The challenge age, by default seven years above the threshold.

    Raises:
        ValueError: ages that are not finite, not above 0, or a challenge below the threshold.
    """
    challenge = threshold + DEFAULT_BUFFER if challenge is None else challenge
    if not (0 < threshold <= challenge and math.isfinite(challenge)):
        raise ValueError(
            f"threshold and challenge are ages with 0 < threshold <= challenge, got {threshold:g} and {challenge:g}"
        )
    return challenge


def judge(
    age_years: float | None,
    declined: Sequence[str],
    tables: Sequence[VerifyTable],
    threshold: float,
    challenge: float | None,
) -> Verdict:
    """The verdict on one estimate.

    Args:
        age_years: the estimate; None where there is no face.
        declined: why the model declines to judge this face; empty where it does not.
        tables: the card's counts, by threshold.
        threshold: years.
        challenge: years; None for seven above the threshold.

    Raises:
        ValueError: as `challenge_age`.
    """
    challenge = challenge_age(threshold, challenge)
    if declined or age_years is None:
        outcome, reason = Outcome.UNSURE, "; ".join(declined) or "no face found"
    elif age_years >= challenge:
        outcome, reason = Outcome.PASS, f"looks {age_years:.1f}, at least {challenge:g}"
    elif age_years < threshold:
        outcome, reason = Outcome.FAIL, f"looks {age_years:.1f}, below {threshold:g}"
    else:
        outcome, reason = Outcome.UNSURE, f"looks {age_years:.1f}, between {threshold:g} and {challenge:g}"
    table = next((table for table in tables if abs(table.threshold - threshold) < 1e-9), None)
    column = None if table is None else _column(table, challenge - threshold)
    if table is None or column is None or not table.under or not table.over:
        return Verdict(outcome=outcome, reason=reason, threshold=threshold, challenge=challenge)
    return Verdict(
        outcome=outcome,
        reason=reason,
        threshold=threshold,
        challenge=challenge,
        false_positive=Rate(table.passed_under[column], table.under),
        false_negative=Rate(table.failed_over, table.over),
        unsure_over=Rate(table.over - table.failed_over - table.passed_over[column], table.over),
        data=table.data,
    )


def _column(table: VerifyTable, buffer: float) -> int | None:
    return next((i for i, known in enumerate(table.buffers) if abs(known - buffer) < 1e-9), None)

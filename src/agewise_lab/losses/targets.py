"""What an age is compared with: an exact age, or a class of ages of which any may be true.

A class of ages (Adience's «25 to 32») is a censored target: an estimate inside it is not punished for
where inside it lies. Each loss says how it takes one. Ages outside the range that a head can give are
clipped to it, and counted.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

# Dimension letters: B batch, A age classes.


@dataclass(frozen=True, slots=True)
class AgeTarget:
    """Ages of a batch.

    Args:
        low: float (B,), the least age in years that may be true; the age itself where it is exact.
        high: the greatest.
        clipped: int (), how many of them had an end outside the range.
    """

    low: Tensor
    high: Tensor
    clipped: Tensor

    @property
    def age(self) -> Tensor:
        """The age, or the middle of the class."""
        return (self.low + self.high) / 2

    def __len__(self) -> int:
        return len(self.low)

    def select(self, rows: Tensor) -> AgeTarget:
        """Some rows, in the order asked for."""
        return AgeTarget(self.low[rows], self.high[rows], self.clipped)


def age_target(
    age_B: Tensor, low_B: Tensor | None = None, high_B: Tensor | None = None, *, least: float = 0.0, most: float = 100.0
) -> AgeTarget:
    """Targets from labels, clipped to `least`..`most` years.

    Args:
        age_B: exact ages; NaN where there is only a class.
        low_B, high_B: ends of the classes, NaN where there is none. A class goes before an exact age.
        least, most: what the head can give.

    >>> t = age_target(torch.tensor([0.0, 100.0, 116.0]))
    >>> t.age.tolist(), int(t.clipped)
    ([0.0, 100.0, 100.0], 1)
    >>> nan = torch.nan
    >>> t = age_target(torch.tensor([nan, 30.0]), torch.tensor([60.0, nan]), torch.tensor([120.0, nan]))
    >>> t.low.tolist(), t.high.tolist(), int(t.clipped)
    ([60.0, 30.0], [100.0, 30.0], 1)
    """
    low = age_B if low_B is None else torch.where(low_B.isnan(), age_B, low_B)
    high = age_B if high_B is None else torch.where(high_B.isnan(), age_B, high_B)
    clipped = ((low < least) | (high > most)).sum()
    return AgeTarget(low.clamp(least, most), high.clamp(least, most), clipped)


def beyond(age_B: Tensor, target: AgeTarget) -> Tensor:
    """How far estimates lie outside their targets, in years, above zero where too old: (B,).

    >>> nan = torch.nan
    >>> t = age_target(torch.tensor([30.0, nan]), torch.tensor([nan, 20.0]), torch.tensor([nan, 25.0]))
    >>> beyond(torch.tensor([33.0, 22.0]), t).tolist(), beyond(torch.tensor([28.0, 18.0]), t).tolist()
    ([3.0, 0.0], [-2.0, -2.0])
    """
    return age_B - torch.maximum(torch.minimum(age_B, target.high), target.low)


def inside(class_ages_A: Tensor, target: AgeTarget) -> Tensor:
    """Which classes may be the true one: 1 or 0, (B, A). Never none: an age between two classes is its nearest's.

    >>> nan = torch.nan
    >>> t = age_target(torch.tensor([1.4, nan]), torch.tensor([nan, 2.0]), torch.tensor([nan, 3.0]))
    >>> inside(torch.arange(4.0), t)
    tensor([[0., 1., 0., 0.],
            [0., 0., 1., 1.]])
    """
    nearest_B = (class_ages_A[None] - target.age[:, None]).abs().argmin(dim=1)
    between_BA = (class_ages_A[None] >= target.low[:, None]) & (class_ages_A[None] <= target.high[:, None])
    return torch.nn.functional.one_hot(nearest_B, len(class_ages_A)).bool().logical_or(between_BA).to(class_ages_A)

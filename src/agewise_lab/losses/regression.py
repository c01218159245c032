"""Ages as numbers: L1, L2, Huber, and a normal distribution with a variance of its own.

A class of ages has no error inside it, and outside the distance from its nearer end; the likelihood of
the normal distribution takes the probability of the whole class.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from agewise_lab.losses.targets import AgeTarget, beyond

# Dimension letters: B batch.


def l1(years_B: Tensor, target: AgeTarget) -> Tensor:
    """|age − label| in years, (B,). SSR-Net's loss.

    >>> from agewise_lab.losses.targets import age_target
    >>> l1(torch.tensor([33.0, 28.0]), age_target(torch.tensor([30.0, 30.0]))).tolist()
    [3.0, 2.0]
    """
    return beyond(years_B, target).abs()


def l2(years_B: Tensor, target: AgeTarget) -> Tensor:
    """½ (age − label)², (B,).

    >>> from agewise_lab.losses.targets import age_target
    >>> l2(torch.tensor([33.0, 28.0]), age_target(torch.tensor([30.0, 30.0]))).tolist()
    [4.5, 2.0]
    """
    return 0.5 * beyond(years_B, target).square()


def huber(years_B: Tensor, target: AgeTarget, *, turn: float = 2.0) -> Tensor:
    """½ e² up to |e| = `turn` years, then turn · (|e| − ½ turn), (B,).

    Source: Huber: «Robust Estimation of a Location Parameter», Annals of Mathematical Statistics 1964.

    >>> from agewise_lab.losses.targets import age_target
    >>> huber(torch.tensor([31.0, 33.0]), age_target(torch.tensor([30.0, 30.0]))).tolist()
    [0.5, 4.0]
    """
    far = beyond(years_B, target).abs()
    return torch.where(far <= turn, 0.5 * far.square(), turn * (far - 0.5 * turn))


def gaussian(years_B: Tensor, log_variance_B: Tensor, target: AgeTarget) -> Tensor:
    """−log likelihood of the label under a normal of that mean and log-variance (in years²), (B,).

    A class of ages: −log of the normal's probability from half a year below it to half a year above.

    Source: Nix, Weigend: «Estimating the mean and variance of the target probability distribution», ICNN
    1994.

    >>> from agewise_lab.losses.targets import age_target
    >>> t = age_target(torch.tensor([30.0, 30.0]))
    >>> loss = gaussian(torch.tensor([30.0, 32.0]), torch.tensor([0.0, 1.3862944]), t)
    >>> [round(v, 4) for v in loss.tolist()]  # ½ log 2π; ½ log 2π + ½ log 4 + ½ · 4 / 4
    [0.9189, 2.1121]
    """
    far = beyond(years_B, target)
    exact = 0.5 * (math.log(2 * math.pi) + log_variance_B + far.square() * torch.exp(-log_variance_B))
    wide = target.high > target.low
    if not bool(wide.any()):
        return exact
    inverse = torch.exp(-0.5 * log_variance_B)
    upper, lower = (target.high + 0.5 - years_B) * inverse, (target.low - 0.5 - years_B) * inverse
    # P(lower < z < upper), on the side where both are below zero, so that a far tail keeps its digits.
    sign = torch.where(lower > 0, -1.0, 1.0)
    first, second = torch.minimum(sign * lower, sign * upper), torch.maximum(sign * lower, sign * upper)
    log_second, log_first = torch.special.log_ndtr(second), torch.special.log_ndtr(first)
    censored = -(log_second + torch.log1p(-torch.exp((log_first - log_second).clamp(max=-1e-6))))
    return torch.where(wide, censored, exact)

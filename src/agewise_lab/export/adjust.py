"""Less of the training data's ages in a network's answers: post-hoc logit adjustment.

A network's answer p(age | face) ∝ p(face | age) · π(age) leans to the ages that it saw most, which in UTKFace are those
about 26. Where the faces to come have other ages, dividing by π^τ takes a share τ of that lean away: of each logit
τ · log π is subtracted (Menon et al., «Long-tail learning via logit adjustment», ICLR 2021, equation 9). It costs
nothing when served, as the biases of the last layer take it up.
"""

from __future__ import annotations

import copy

import numpy as np
import torch

from agewise.types import FloatArray
from agewise_lab.architectures.two_heads import TwoHeadNet


def log_prior(ages_years: FloatArray, classes: int) -> FloatArray:
    """log π of ages 0 to `classes` − 1: labels smoothed by a normal of 3 years and half a face added to each age.

    Unknown ages, NaN, do not count.

    >>> np.exp(log_prior(np.array([2.0] * 9), 5)).round(2).tolist()
    [0.18, 0.21, 0.22, 0.21, 0.18]
    """
    known = ages_years[~np.isnan(ages_years)]
    counts = np.bincount(np.clip(np.round(known), 0, classes - 1).astype(int), minlength=classes)
    ages = np.arange(classes)
    kernel = np.exp(-0.5 * ((ages[:, None] - ages) / 3.0) ** 2)
    smooth = counts @ (kernel / kernel.sum(axis=1, keepdims=True)) + 0.5
    result: FloatArray = np.log(smooth / smooth.sum())
    return result


def adjusted(net: TwoHeadNet, ages_years: FloatArray, tau: float) -> TwoHeadNet:
    """A copy whose distributions over ages are divided by π^`tau`.

    Args:
        net: its age head is changed.
        ages_years: the labels that it was trained on, which give π; NaN where unknown.
        tau: 0 leaves it as it is; at 1 all ages count alike.

    Raises:
        ValueError: `tau` outside 0 to 1.
    """
    if not 0 <= tau <= 1:
        raise ValueError(f"a share of the ages' frequency is 0 to 1, got {tau:g}")
    other = copy.deepcopy(net)
    with torch.no_grad():
        other.age.bias.sub_(tau * torch.from_numpy(log_prior(ages_years, net.config.ages)).float())
    return other

"""Losses: worked numbers, the sign of gradients, the ends of the range, and that the twin of decode is one."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from agewise import decode
from agewise_lab.losses.label_distribution import (
    expected_age,
    gender_weight,
    label_distribution,
    label_spread,
    soft_cross_entropy,
)

AGES = torch.arange(101.0)


@pytest.mark.parametrize("age", [0.0, 1.0, 17.0, 42.5, 99.0, 100.0])
def test_a_label_is_a_normal_distribution_about_its_age(age: float) -> None:
    (probs,) = label_distribution(torch.tensor([age]), AGES).double()
    spread = float(label_spread(torch.tensor(age)))
    expected = np.exp(-0.5 * ((np.arange(101) - age) / spread) ** 2)
    assert probs.numpy() == pytest.approx(expected / expected.sum(), abs=1e-6)
    assert float(probs.sum()) == pytest.approx(1)


@pytest.mark.parametrize(("age", "clipped"), [(116.0, 100.0), (101.0, 100.0), (-1.0, 0.0)])
def test_ages_outside_the_classes_count_as_the_last_one(age: float, clipped: float) -> None:
    assert torch.equal(label_distribution(torch.tensor([age]), AGES), label_distribution(torch.tensor([clipped]), AGES))


def test_a_label_in_the_middle_has_its_age_as_mean_and_its_spread_as_deviation() -> None:
    probs = label_distribution(torch.tensor([30.0]), AGES).numpy().astype(np.float64)
    mean, variance = decode.expectation(probs, AGES.numpy().astype(np.float64))
    assert mean[0] == pytest.approx(30, abs=1e-3)
    assert math.sqrt(variance[0]) == pytest.approx(2.3, abs=1e-2)


def test_three_classes_by_hand() -> None:
    # Age 1 of 0, 1, 2 has the spread 0.85: the neighbours weigh exp(-0.5 / 0.7225) = 0.5006.
    (probs,) = label_distribution(torch.tensor([1.0]), torch.arange(3.0))
    side = math.exp(-0.5 / 0.85**2)
    assert probs.tolist() == pytest.approx([side / (1 + 2 * side), 1 / (1 + 2 * side), side / (1 + 2 * side)], abs=1e-6)


@pytest.mark.parametrize(
    ("logits", "target", "divergence"),
    [
        ([0.0, 0.0], [0.5, 0.5], 0.0),
        ([0.0, 0.0], [1.0, 0.0], math.log(2)),
        ([math.log(3), 0.0], [0.75, 0.25], 0.0),  # the target itself
        ([math.log(3), 0.0], [0.25, 0.75], 0.5 * math.log(3)),
        ([0.0, 0.0, 0.0], [0.0, 1.0, 0.0], math.log(3)),  # no NaN from 0 · log 0
        ([1000.0, 0.0], [0.0, 1.0], 1000.0),  # nor from an overflow
    ],
)
def test_divergence(logits: list[float], target: list[float], divergence: float) -> None:
    value = soft_cross_entropy(torch.tensor([logits]), torch.tensor([target]))
    assert value.tolist() == pytest.approx([divergence], abs=1e-6)


def test_divergence_is_kullback_leibler() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(5, 101, generator=generator)
    target = torch.softmax(torch.randn(5, 101, generator=generator), dim=1)
    reference = torch.nn.functional.kl_div(torch.log_softmax(logits, 1), target, reduction="none").sum(dim=1)
    assert torch.allclose(soft_cross_entropy(logits, target), reference, atol=1e-5)


@pytest.mark.parametrize("age", [0.0, 30.0, 100.0, 116.0])
def test_the_gradient_pulls_towards_the_label(age: float) -> None:
    logits = torch.zeros(1, 101, requires_grad=True)
    target = label_distribution(torch.tensor([age]), AGES)
    soft_cross_entropy(logits, target).sum().backward()
    assert logits.grad is not None
    # By the formula it is softmax(logits) − target.
    assert torch.allclose(logits.grad, 1 / 101 - target, atol=1e-6)
    assert int(logits.grad.argmin()) == min(int(age), 100)
    stepped = expected_age(logits.detach() - logits.grad, AGES)
    before = 50.0
    assert (float(stepped) - before) * (min(age, 100.0) - before) > 0


def test_expected_age_is_the_twin_of_decode() -> None:
    logits = torch.randn(64, 101, generator=torch.Generator().manual_seed(1)) * 5
    ours = expected_age(logits, AGES).numpy()
    years, _ = decode.expectation(decode.softmax(logits.numpy().astype(np.float64)), np.arange(101.0))
    assert ours == pytest.approx(years, abs=1e-3)


@pytest.mark.parametrize("age", [0, 100])
def test_expected_age_at_the_ends(age: int) -> None:
    logits = torch.full((1, 101), -50.0)
    logits[0, age] = 50.0
    assert float(expected_age(logits, AGES)) == pytest.approx(age, abs=1e-4)


@pytest.mark.parametrize(("age", "weight"), [(0, 0.5), (3, 0.5), (8, 0.75), (13, 1.0), (116, 1.0)])
def test_gender_counts_less_for_small_children(age: float, weight: float) -> None:
    assert gender_weight(torch.tensor([float(age)])).tolist() == pytest.approx([weight])


@pytest.mark.parametrize(("age", "spread"), [(0, 0.8), (30, 2.3), (74, 4.5), (116, 4.5)])
def test_spread_grows_with_age(age: float, spread: float) -> None:
    assert float(label_spread(torch.tensor(float(age)))) == pytest.approx(spread)

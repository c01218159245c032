"""Each formula against numbers worked out by hand, against plain loops, and by the properties that it must have."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from agewise import decode
from agewise.card import (
    BinsAge,
    Calibration,
    ExpectationAge,
    GenderSpec,
    IntervalTable,
    ModelCard,
    OrdinalAge,
    RegressionAge,
    SoftStagewiseAge,
)
from agewise.errors import ModelError
from agewise.types import FloatArray, Gender

F, M = Gender.FEMALE, Gender.MALE
SEEDS = range(5)


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def random_probs(seed: int, n: int = 40, classes: int = 101) -> FloatArray:
    """Distributions of all kinds: flat, peaked, and all on one class."""
    generator = rng(seed)
    logits = generator.normal(size=(n, classes)) * generator.choice([0.1, 3.0, 300.0], size=(n, 1))
    return decode.softmax(logits)


# ---------------------------------------------------------------- softmax


def test_softmax_by_hand() -> None:
    got = decode.softmax(np.log(np.array([[1.0, 3.0], [6.0, 2.0]])))
    assert np.allclose(got, [[0.25, 0.75], [0.75, 0.25]], atol=1e-15)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("shift", [-1e4, -3.7, 0.0, 500.0])
def test_softmax_is_not_moved_by_a_shift(seed: int, shift: float) -> None:
    logits = rng(seed).normal(size=(6, 20)) * 5
    got = decode.softmax(logits + shift)
    assert np.allclose(got, decode.softmax(logits), atol=1e-11)
    assert np.allclose(got.sum(axis=1), 1)


def test_softmax_of_huge_logits_stays_finite() -> None:
    assert decode.softmax(np.array([[1e300, 0.0, -1e300]])).tolist() == [[1.0, 0.0, 0.0]]


# ---------------------------------------------------------------- expectation


@pytest.mark.parametrize(
    ("probs", "ages", "mean", "variance"),
    [
        # .2·10 + .3·20 + .5·40 = 28; .2·18² + .3·8² + .5·12² = 64.8 + 19.2 + 72 = 156
        ([0.2, 0.3, 0.5], [10.0, 20.0, 40.0], 28.0, 156.0),
        ([0.0, 1.0, 0.0], [10.0, 20.0, 40.0], 20.0, 0.0),
        ([0.5, 0.5], [0.0, 1.0], 0.5, 0.25),
        ([0.5, 0.0, 0.5], [0.0, 50.0, 100.0], 50.0, 2500.0),
    ],
)
def test_expectation_by_hand(probs: list[float], ages: list[float], mean: float, variance: float) -> None:
    got = decode.expectation(np.array([probs, probs]), np.array(ages))
    assert np.allclose(got[0], [mean, mean], atol=1e-12)
    assert np.allclose(got[1], [variance, variance], atol=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_expectation_stays_among_the_classes(seed: int) -> None:
    ages = np.sort(rng(seed).uniform(0, 110, 101))
    mean, variance = decode.expectation(random_probs(seed), ages)
    assert (mean >= ages[0] - 1e-9).all()
    assert (mean <= ages[-1] + 1e-9).all()
    assert (variance >= 0).all()
    # Popoviciu: no distribution on [a, b] has a variance over (b − a)² / 4.
    assert (variance <= (ages[-1] - ages[0]) ** 2 / 4 + 1e-9).all()


@pytest.mark.parametrize(
    ("probs", "expected"),
    [
        ([0.2, 0.2, 0.2, 0.4], 2.0),
        ([0.25, 0.25, 0.25, 0.25], 1.0),  # half of the mass does not exceed it
        ([0.0, 0.0, 0.0, 1.0], 30.0),
        ([0.6, 0.0, 0.0, 0.4], 0.0),
        ([0.3, 0.2 - 1e-12, 0.0, 0.5 + 1e-12], 1.0),  # a last bit does not move it
    ],
)
def test_median_by_hand(probs: list[float], expected: float) -> None:
    assert decode.median(np.array([probs]), np.array([0.0, 1.0, 2.0, 30.0])).tolist() == [expected]


@pytest.mark.parametrize("seed", range(5))
def test_no_class_is_off_by_less_than_the_median(seed: int) -> None:
    rng = np.random.default_rng(seed)
    probs, ages = rng.dirichlet(np.full(20, 0.3), 50), np.sort(rng.choice(101, 20, replace=False)).astype(float)
    expected_error = probs @ np.abs(ages[:, None] - ages[None])
    chosen = np.searchsorted(ages, decode.median(probs, ages))
    assert np.allclose(expected_error[np.arange(50), chosen], expected_error.min(axis=1))


def test_the_card_says_whether_the_mean_or_the_median() -> None:
    outputs = {"p": np.array([[0.5, 0.25, 0.25]])}
    spec = {"output": "p", "class_ages": (0.0, 10.0, 40.0)}
    mean, middle = (decode.decode_ages(outputs, ExpectationAge(**spec, estimate=kind)) for kind in ("mean", "median"))
    assert (mean.years.tolist(), middle.years.tolist()) == ([12.5], [0.0])
    assert mean.std_years.tolist() == middle.std_years.tolist()
    assert mean.mean_years.tolist() == middle.mean_years.tolist() == [12.5]
    assert ExpectationAge(**spec).estimate == "mean"


def test_a_sure_distribution_has_no_variance_even_after_rounding() -> None:
    ages = np.array([0.1, 33.3, 99.7])
    _, variance = decode.expectation(np.eye(3), ages)
    assert (variance >= 0).all()
    assert (variance < 1e-9).all()


# ---------------------------------------------------------------- questions


@pytest.mark.parametrize(
    ("answers", "conditional", "probs"),
    [
        ([0.75, 0.5], False, [0.25, 0.25, 0.5]),
        ([0.75, 0.5], True, [0.25, 0.375, 0.375]),
        ([0.5, 0.75], False, [0.5, 0.0, 0.5]),  # a contradiction: the second counts as the first
        ([0.0, 1.0], True, [1.0, 0.0, 0.0]),
        ([1.0, 1.0], False, [0.0, 0.0, 1.0]),
    ],
)
def test_questions_by_hand(answers: list[float], conditional: bool, probs: list[float]) -> None:
    assert np.allclose(decode.ordinal(np.array([answers]), conditional), [probs], atol=1e-15)


@pytest.mark.parametrize("conditional", [False, True])
def test_questions_give_a_distribution(conditional: bool) -> None:
    probs = decode.ordinal(rng(0).random((50, 100)), conditional)
    assert (probs >= 0).all()
    assert np.allclose(probs.sum(axis=1), 1)


def test_questions_as_the_card_has_them() -> None:
    spec = OrdinalAge(output="q", class_ages=(0.0, 10.0, 20.0))
    logits = np.log(np.array([[3.0, 1.0]]))  # 0.75 and 0.5
    got = decode.decode_ages({"q": logits}, spec)
    assert got.years.tolist() == pytest.approx([12.5])
    assert got.std_years.tolist() == pytest.approx([math.sqrt(0.25 * 100 + 0.5 * 400 - 12.5**2)])
    with pytest.raises(ModelError, match=r"promises 2 thresholds in 'q'; the network gave \(1, 3\)"):
        decode.decode_ages({"q": np.zeros((1, 3))}, spec)
    with pytest.raises(ModelError, match="outside 0 to 1. If they are logits"):
        decode.decode_ages({"q": np.array([[3.0, 0.5]])}, spec.model_copy(update={"activation": "none"}))


# ---------------------------------------------------------------- bins


@pytest.mark.parametrize(
    ("probs", "bins", "mean", "variance"),
    [
        # one bin [8, 20): mean 14, variance 12² / 12
        ([0.0, 1.0], [[0.0, 8.0], [8.0, 20.0]], 14.0, 12.0),
        # middles 2 and 30 (gap 4 to 24): mean 9; .75·(49 + 16/12) + .25·(441 + 144/12) = 37.75 + 113.25
        ([0.75, 0.25], [[0.0, 4.0], [24.0, 36.0]], 9.0, 151.0),
    ],
)
def test_bins_by_hand(probs: list[float], bins: list[list[float]], mean: float, variance: float) -> None:
    got = decode.class_bins(np.array([probs]), np.array(bins))
    assert np.allclose(got, [[mean], [variance]], atol=1e-12)


ADIENCE = np.array([[0, 3], [4, 7], [8, 13], [15, 21], [25, 33], [38, 44], [48, 54], [60, 101]], dtype=float)


@pytest.mark.parametrize("seed", SEEDS)
def test_bins_with_gaps_against_a_drawn_sample(seed: int) -> None:
    """As Adience has them: what the formula says is what ages drawn from the bins show."""
    probs = rng(seed).dirichlet(np.ones(8))
    mean, variance = decode.class_bins(probs[None], ADIENCE)
    drawn = ADIENCE[rng(seed + 100).choice(8, size=400_000, p=probs)]
    ages = rng(seed + 200).uniform(drawn[:, 0], drawn[:, 1])
    assert mean[0] == pytest.approx(ages.mean(), abs=0.3)
    assert variance[0] == pytest.approx(ages.var(), rel=0.02)


@pytest.mark.parametrize("seed", SEEDS)
def test_narrow_bins_are_an_expectation(seed: int) -> None:
    ages = np.arange(101.0)
    bins = np.stack([ages - 1e-6, ages + 1e-6], axis=1)
    probs = random_probs(seed)
    got, expected = decode.class_bins(probs, bins), decode.expectation(probs, ages)
    assert np.allclose(got[0], expected[0], atol=1e-8)
    assert np.allclose(got[1], expected[1], atol=1e-8)


# ---------------------------------------------------------------- regression


def test_regression_by_hand() -> None:
    years, variance = decode.regression(np.array([0.25, 0.5]), 80.0, -2.0)
    assert years.tolist() == [18.0, 38.0]
    assert variance.tolist() == [0.0, 0.0]
    _, variance = decode.regression(np.array([0.25, 0.5]), 80.0, -2.0, np.log(np.array([0.01, 0.04])))
    assert np.allclose(variance, [64.0, 256.0])


# ---------------------------------------------------------------- SSR-Net


def ssr_by_loops(
    probs: list[list[float]],
    deltas: list[float],
    etas: list[list[float]],
    age_range: float,
    lambda_d: float,
    lambda_local: float,
) -> float:
    """One face, from the formula: age = V · Σ_k Σ_i (i + λ_local·η_k,i) · p_k,i / Π_{j≤k} n_j·(1 + λ_d·δ_j)."""
    age = 0.0
    for k in range(len(probs)):
        below = 1.0
        for j in range(k + 1):
            below *= len(probs[j]) * (1 + lambda_d * deltas[j])
        for i in range(len(probs[k])):
            age += (i + lambda_local * etas[k][i]) * probs[k][i] / below
    return age_range * age


def ssr_outputs(seed: int, n: int = 7, classes: tuple[int, ...] = (3, 3, 3)) -> dict[str, FloatArray]:
    """As the network gives them: ReLU'd and not normalised probabilities, shifts between −1 and 1."""
    generator = rng(seed)
    outputs = {}
    for k, count in enumerate(classes):
        outputs[f"p{k}"] = np.maximum(generator.normal(0.4, 0.5, (n, count)), 0)
        outputs[f"d{k}"] = np.tanh(generator.normal(0, 0.5, (n, 1)))
        outputs[f"e{k}"] = np.tanh(generator.normal(0, 1, (n, count)))
    return outputs


def ssr_spec(stages: int = 3, **options: Any) -> SoftStagewiseAge:
    probs, deltas, etas = (tuple(f"{letter}{k}" for k in range(stages)) for letter in "pde")
    return SoftStagewiseAge(probs=probs, deltas=deltas, etas=etas, **options)


def test_ssr_net_by_hand() -> None:
    """Two stages of two classes, V = 100, each λ = 1.

    s_1 = 2·(1 + .25) = 2.5, stage 1: ((0 + .5)·.2 + (1 − .5)·.8) / 2.5 = .5 / 2.5 = .2
    s_2 = 2·(1 − .5) = 1, stage 2: (0·.5 + (1 + .2)·.5) / (2.5·1) = .6 / 2.5 = .24
    """
    years, _ = decode.soft_stagewise(
        [np.array([[0.2, 0.8]]), np.array([[0.5, 0.5]])],
        [np.array([[0.25]]), np.array([[-0.5]])],
        [np.array([[0.5, -0.5]]), np.array([[0.0, 0.2]])],
        age_range=100.0,
    )
    assert years.tolist() == pytest.approx([44.0], abs=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("classes", [(3, 3, 3), (5, 4), (2,), (3, 2, 4, 2)])
@pytest.mark.parametrize(("lambda_d", "lambda_local"), [(1.0, 1.0), (0.0, 0.0), (0.25, 0.75), (0.75, 0.0)])
def test_ssr_net_against_plain_loops(seed: int, classes: tuple[int, ...], lambda_d: float, lambda_local: float) -> None:
    outputs = ssr_outputs(seed, classes=classes)
    spec = ssr_spec(len(classes), age_range=101.0, lambda_d=lambda_d, lambda_local=lambda_local)
    got = decode.decode_ages(outputs, spec)
    for i in range(7):
        expected = ssr_by_loops(
            [outputs[name][i].tolist() for name in spec.probs],
            [float(outputs[name][i, 0]) for name in spec.deltas],
            [outputs[name][i].tolist() for name in spec.etas],
            101.0,
            lambda_d,
            lambda_local,
        )
        assert got.years[i] == pytest.approx(expected, rel=1e-12)
    assert (got.std_years >= 0).all()
    assert got.probs_over_ages is None


def test_ssr_nets_deltas_may_come_flat() -> None:
    outputs = ssr_outputs(0)
    flat = outputs | {f"d{k}": outputs[f"d{k}"].reshape(-1) for k in range(3)}
    assert np.array_equal(decode.decode_ages(outputs, ssr_spec()).years, decode.decode_ages(flat, ssr_spec()).years)


@pytest.mark.parametrize("seed", SEEDS)
def test_ssr_nets_variance_is_that_of_independent_draws(seed: int) -> None:
    """Our own addition, so against its own definition: every way to draw one class a stage, weighed."""
    outputs = ssr_outputs(seed, n=1, classes=(3, 2, 2))
    outputs = {name: np.maximum(value, 0.05) if name[0] == "p" else value for name, value in outputs.items()}
    spec = ssr_spec(3, age_range=90.0, lambda_d=0.5, lambda_local=0.5)
    got = decode.decode_ages(outputs, spec)
    below, stages = 1.0, []
    for k in range(3):
        p, d, e = (outputs[f"{part}{k}"][0] for part in "pde")
        below *= len(p) * (1 + 0.5 * float(d[0]))
        mass = float(p.sum())
        stages.append([(float(p[i]) / mass, 90 * mass * (i + 0.5 * float(e[i])) / below) for i in range(len(p))])
    ways = [(a[0] * b[0] * c[0], a[1] + b[1] + c[1]) for a in stages[0] for b in stages[1] for c in stages[2]]
    mean = sum(weight * age for weight, age in ways)
    variance = sum(weight * (age - mean) ** 2 for weight, age in ways)
    assert got.years[0] == pytest.approx(mean, rel=1e-12)
    assert got.std_years[0] == pytest.approx(math.sqrt(variance), rel=1e-9)


# ---------------------------------------------------------------- ages by the card


@pytest.mark.parametrize(
    ("spec", "outputs", "years", "std", "probs", "ages"),
    [
        (
            ExpectationAge(output="p", class_ages=(10.0, 20.0, 40.0)),
            {"p": [[0.2, 0.3, 0.5]]},
            28.0,
            156.0**0.5,
            [0.2, 0.3, 0.5],
            [10, 20, 40],
        ),
        (
            ExpectationAge(output="p", class_ages=(10.0, 20.0, 40.0), activation="softmax"),
            {"p": [np.log([2.0, 3.0, 5.0])]},
            28.0,
            156.0**0.5,
            [0.2, 0.3, 0.5],
            [10, 20, 40],
        ),
        (
            # probabilities that float16 or a quantised softmax left short of 1 are made whole
            ExpectationAge(output="p", class_ages=(10.0, 20.0, 40.0)),
            {"p": [[0.1, 0.15, 0.25]]},
            28.0,
            156.0**0.5,
            [0.2, 0.3, 0.5],
            [10, 20, 40],
        ),
        (
            BinsAge(output="p", bins=((0.0, 4.0), (24.0, 36.0)), activation="softmax"),
            {"p": [[np.log(3.0), 0.0]]},
            9.0,
            151.0**0.5,
            [0.75, 0.25],
            [2, 30],
        ),
        (RegressionAge(output="a", scale=80.0, offset=-2.0), {"a": [[0.25]]}, 18.0, 0.0, None, None),
        (RegressionAge(output="a"), {"a": [18.0]}, 18.0, 0.0, None, None),
        (
            RegressionAge(output="a", scale=80.0, log_variance_output="v"),
            {"a": [[0.25]], "v": [[math.log(0.01)]]},
            20.0,
            8.0,
            None,
            None,
        ),
        (RegressionAge(output="a"), {"a": [-0.5]}, -0.5, 0.0, None, None),
    ],
)
def test_ages_as_the_card_says(
    spec: Any, outputs: dict[str, Any], years: float, std: float, probs: Any, ages: Any
) -> None:
    arrays = {name: np.asarray(value, dtype=np.float32) for name, value in outputs.items()}
    arrays["unused"] = np.array(["text"])
    got = decode.decode_ages(arrays, spec)
    assert got.years.dtype == np.float64
    assert got.years.tolist() == pytest.approx([years], abs=1e-5)
    assert got.std_years.tolist() == pytest.approx([std], abs=1e-5)
    if probs is None:
        assert got.probs_over_ages is None
        assert got.class_ages is None
    else:
        assert got.probs_over_ages is not None
        assert got.probs_over_ages[0].tolist() == pytest.approx(probs, abs=1e-6)
        assert np.array_equal(got.class_ages, ages)  # type: ignore[arg-type]


def test_the_batch_keeps_its_order() -> None:
    spec = ExpectationAge(output="p", class_ages=(0.0, 10.0, 20.0))
    assert decode.decode_ages({"p": np.eye(3)[[2, 0, 1]]}, spec).years.tolist() == [20.0, 0.0, 10.0]


EXPECTATION = ExpectationAge(output="p", class_ages=(0.0, 1.0))
LOGITS = ExpectationAge(output="p", class_ages=(0.0, 1.0), activation="softmax")
REGRESSION = RegressionAge(output="a", log_variance_output="v")
NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("spec", "outputs", "message"),
    [
        (EXPECTATION, {"q": [[0.5, 0.5]], "r": [1.0]}, "the card names the output 'p'; the network has q, r"),
        (EXPECTATION, {"p": [[0.2, 0.3, 0.5]]}, "the card promises 2 classes in 'p'; the network gave (1, 3)"),
        (EXPECTATION, {"p": [0.5, 0.5]}, "the card promises 2 classes in 'p'; the network gave (2,)"),
        (EXPECTATION, {"p": [[NAN, 0.5]]}, "the network's output 'p' holds values that are not finite"),
        (LOGITS, {"p": [[INF, 0.5]]}, "the network's output 'p' holds values that are not finite"),
        (EXPECTATION, {"p": [[0.0, 0.0]]}, "the card's activation should be 'softmax'"),
        (EXPECTATION, {"p": [[0.5, 0.5], [-2.0, 3.0]]}, "the card's activation should be 'softmax'"),
        (REGRESSION, {"a": [1.0]}, "the card names the output 'v'; the network has a"),
        (REGRESSION, {"a": [[1.0, 2.0]], "v": [0.0]}, "promises one number a face in 'a'; the network gave (1, 2)"),
        (REGRESSION, {"a": [1.0, 2.0], "v": [0.0]}, "the network gave 2 ages, but 1 log-variances in 'v'"),
        (REGRESSION, {"a": [NAN], "v": [0.0]}, "'a' holds values that are not finite"),
        (REGRESSION, {"a": [1.0], "v": [-INF]}, "'v' holds values that are not finite"),
        (REGRESSION, {"a": [1.0], "v": [2000.0]}, "decoded as the card says, give ages that are not finite"),
        (ssr_spec(), {k: v for k, v in ssr_outputs(0).items() if k != "e2"}, "the card names the output 'e2'"),
        (ssr_spec(), ssr_outputs(0) | {"p1": np.ones((7, 4))}, "the network gave (7, 4), (7,) and (7, 3)"),
        (ssr_spec(), ssr_outputs(0) | {"p1": np.ones(7)}, "the network gave (7,), (7,) and (7, 3)"),
        (ssr_spec(), ssr_outputs(0) | {"d1": np.ones((7, 3))}, "one number a face in 'd1'; the network gave (7, 3)"),
        (ssr_spec(), ssr_outputs(0) | {"d1": np.ones(6)}, "the network gave (7, 3), (6,) and (7, 3)"),
        (ssr_spec(), ssr_outputs(0) | {"e1": np.full((7, 3), NAN)}, "'e1' holds values that are not finite"),
        # tanh of a float32 below −9 is −1: the stage's width is then nothing
        (ssr_spec(), ssr_outputs(0) | {"d1": np.full((7, 1), -1.0)}, "give ages that are not finite"),
    ],
)
def test_outputs_that_do_not_fit_the_card(spec: Any, outputs: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=re.escape(message)):
        decode.decode_ages({name: np.asarray(value, dtype=np.float32) for name, value in outputs.items()}, spec)


def test_a_rounding_below_zero_is_no_logit() -> None:
    got = decode.decode_ages({"p": np.array([[-1e-8, 0.5]])}, EXPECTATION)
    assert got.probs_over_ages is not None
    assert (got.probs_over_ages >= 0).all()
    assert got.years.tolist() == pytest.approx([1.0])


# ---------------------------------------------------------------- gender


@pytest.mark.parametrize(
    ("order", "activation", "output", "female"),
    [
        ((F, M), "none", [[0.8, 0.2]], 0.8),
        ((M, F), "none", [[0.8, 0.2]], 0.2),
        ((F, M), "none", [[0.4, 0.1]], 0.8),
        ((F, M), "softmax", [[math.log(4), 0.0]], 0.8),
        ((M, F), "softmax", [[math.log(4), 0.0]], 0.2),
        # one number is that of the second label
        ((F, M), "none", [0.8], 0.2),
        ((M, F), "none", [0.8], 0.8),
        ((F, M), "none", [[0.8]], 0.2),
        ((M, F), "none", [[0.8]], 0.8),
        ((F, M), "sigmoid", [math.log(4)], 0.2),
        ((M, F), "sigmoid", [[math.log(4)]], 0.8),
        # SSR-Net's one number may leave 0 to 1
        ((F, M), "none", [1.07], 0.0),
        ((F, M), "none", [-0.07], 1.0),
        ((F, M), "none", [[1.0, 0.0]], 1.0),
        ((F, M), "softmax", [[2000.0, -2000.0]], 1.0),
        ((F, M), "sigmoid", [2000.0], 0.0),
    ],
)
def test_gender_by_hand(order: Any, activation: Any, output: Any, female: float) -> None:
    spec = GenderSpec(output="g", order=order, activation=activation)
    got = decode.decode_female_probability({"g": np.asarray(output, dtype=np.float32)}, spec)
    assert got.shape == (1,)
    assert got.tolist() == pytest.approx([female], abs=2e-6)


@pytest.mark.parametrize(
    ("temperature", "female"),
    [(1.0, 0.9), (2.0, 0.75), (0.5, 81 / 82), (1e6, 0.5)],
)
@pytest.mark.parametrize(
    ("activation", "output"),
    [("none", [[0.9, 0.1]]), ("softmax", [[math.log(9), 0.0]]), ("none", [0.1]), ("sigmoid", [-math.log(9)])],
)
def test_temperature_divides_the_log_odds(temperature: float, female: float, activation: Any, output: Any) -> None:
    """Odds 9 : 1; at temperature 2 they are 3 : 1, at one half 81 : 1."""
    spec = GenderSpec(output="g", order=(F, M), activation=activation, temperature=temperature)
    assert decode.decode_female_probability({"g": np.array(output)}, spec)[0] == pytest.approx(female, abs=1e-6)


@pytest.mark.parametrize("seed", SEEDS)
def test_gender_on_random_tables(seed: int) -> None:
    logits = rng(seed).normal(size=(50, 2)) * 3
    probs = decode.softmax(logits)
    plain = GenderSpec(output="g", order=(F, M), activation="softmax")
    female = decode.decode_female_probability({"g": logits}, plain)
    assert np.allclose(female, probs[:, 0], atol=1e-12), "temperature 1 changes nothing"
    shifted = decode.decode_female_probability({"g": logits + 7}, plain)
    assert np.allclose(shifted, female, atol=1e-12)
    turned = decode.decode_female_probability({"g": logits}, plain.model_copy(update={"order": (M, F)}))
    assert np.allclose(turned, 1 - female, atol=1e-12), "the other order is the other label"
    same = decode.decode_female_probability({"g": probs}, plain.model_copy(update={"activation": "none"}))
    assert np.allclose(same, female, atol=1e-7), "logits and their probabilities agree"
    cooled = decode.decode_female_probability({"g": logits}, plain.model_copy(update={"temperature": 3.0}))
    assert np.array_equal(cooled > 0.5, female > 0.5), "no temperature changes the label"
    assert (np.abs(cooled - 0.5) <= np.abs(female - 0.5)).all()


@pytest.mark.parametrize(
    ("activation", "output", "message"),
    [
        (
            "none",
            [[0.1, 0.2, 0.7]],
            "promises two numbers or one a face in 'g' (activation 'none'); the network gave (1, 3)",
        ),
        ("none", [[[0.1, 0.9]]], "the network gave (1, 1, 2)"),
        ("none", 0.5, "the network gave ()"),
        ("softmax", [0.5], "promises two numbers a face in 'g' (activation 'softmax'); the network gave (1,)"),
        ("softmax", [[0.5]], "promises two numbers a face"),
        ("sigmoid", [[0.5, 0.5]], "promises one number a face in 'g' (activation 'sigmoid'); the network gave (1, 2)"),
        ("none", [[-3.0, 2.0]], "If they are logits, the card's activation should be 'softmax'"),
        ("none", [[0.0, 0.0]], "the card promises probabilities in 'g'"),
        ("none", [[0.5, NAN]], "'g' holds values that are not finite"),
    ],
)
def test_gender_outputs_that_do_not_fit_the_card(activation: Any, output: Any, message: str) -> None:
    with pytest.raises(ModelError, match=re.escape(message)):
        decode.decode_female_probability({"g": np.array(output)}, GenderSpec(output="g", activation=activation))


def test_a_missing_gender_output_is_named() -> None:
    with pytest.raises(ModelError, match="the card names the output 'g'; the network has probs"):
        decode.decode_female_probability({"probs": np.zeros((1, 2))}, GenderSpec(output="g"))


@pytest.mark.parametrize(
    ("female", "label", "probability"),
    [
        (0.0, M, 1.0),
        (0.25, M, 0.75),
        (math.nextafter(0.5, 0), M, 0.5),
        (0.5, F, 0.5),
        (0.75, F, 0.75),
        (1.0, F, 1.0),
        (1.0 + 1e-12, F, 1.0),
        (-1e-12, M, 1.0),
    ],
)
def test_the_likelier_gender(female: float, label: Gender, probability: float) -> None:
    got, its_probability = decode.likelier_gender(female)
    assert got is label
    assert its_probability == pytest.approx(probability, abs=1e-12)
    assert 0.5 <= its_probability <= 1.0


# ---------------------------------------------------------------- intervals


def calibration(
    edges: tuple[float, ...] = (20.0, 60.0),
    radii: tuple[float, ...] = (3.0, 5.0, 8.0),
    normalised: bool = False,
    spread_floor: float = 0.0,
    level: float = 0.9,
) -> Calibration:
    table = IntervalTable(
        level=level,
        edges=edges,
        radii=radii,
        counts=(1,) * len(radii),
        normalised=normalised,
        spread_floor=spread_floor,
    )
    return Calibration(data="none", intervals=(table,))


@pytest.mark.parametrize(
    ("years", "radius"),
    [
        (-1.0, 3.0),
        (10.0, 3.0),
        (math.nextafter(20.0, 0.0), 3.0),
        (20.0, 5.0),  # an edge belongs to the band above it
        (math.nextafter(20.0, 99.0), 5.0),
        (40.0, 5.0),
        (math.nextafter(60.0, 0.0), 5.0),
        (60.0, 8.0),
        (110.0, 8.0),
    ],
)
def test_each_band_has_its_radius(years: float, radius: float) -> None:
    _, high = decode.interval(years, 4.0, calibration(), 0.9)
    assert high == years + radius


def test_an_interval_by_hand() -> None:
    assert decode.interval(40.0, 4.0, calibration(), 0.9) == (35.0, 45.0)
    assert decode.interval(70.5, 4.0, calibration(), 0.9) == (62.5, 78.5)


@pytest.mark.parametrize(
    ("years", "expected"),
    [
        (2.0, (0.0, 5.0)),
        (3.0, (0.0, 6.0)),
        (3.5, (0.5, 6.5)),
        (0.0, (0.0, 3.0)),
        (-1.0, (-1.0, 2.0)),
        (-9.0, (-9.0, 0.0)),
    ],
)
def test_an_interval_is_cut_at_birth_but_holds_its_estimate(years: float, expected: tuple[float, float]) -> None:
    assert decode.interval(years, 4.0, calibration(), 0.9) == expected


@pytest.mark.parametrize(
    ("std", "floor", "radius"),
    [
        (4.0, 0.0, 8.0),
        (4.0, 3.0, 8.0),
        (2.0, 3.0, 6.0),
        (0.0, 3.0, 6.0),
        (0.0, 0.0, 0.0),
    ],
)
def test_a_normalised_radius_goes_with_the_spread(std: float, floor: float, radius: float) -> None:
    table = calibration((), (2.0,), normalised=True, spread_floor=floor)
    assert decode.interval(40.0, std, table, 0.9) == (40.0 - radius, 40.0 + radius)


def test_a_plain_radius_does_not_mind_the_spread() -> None:
    table = calibration((), (2.0,), spread_floor=50.0)
    assert decode.interval(40.0, 9.0, table, 0.9) == (38.0, 42.0)


@pytest.mark.parametrize("seed", SEEDS)
def test_an_interval_always_holds_the_estimate(seed: int) -> None:
    generator = rng(seed)
    for _ in range(200):
        edges = tuple(sorted(set(generator.integers(0, 100, generator.integers(0, 6)).tolist())))
        radii = tuple(generator.exponential(8, len(edges) + 1).tolist())
        table = calibration(edges, radii, bool(generator.integers(2)), float(generator.uniform(0, 3)))
        years, std = float(generator.uniform(-5, 110)), float(generator.exponential(5))
        low, high = decode.interval(years, std, table, 0.9)
        assert low <= years <= high
        assert low >= 0 or low == years
        assert high >= 0


def test_the_table_of_the_level_is_taken(make_card: Callable[..., ModelCard]) -> None:
    table = make_card().calibration
    assert table is not None
    assert decode.interval(40.0, 1.0, table, 0.9) == (35.0, 45.0)
    assert decode.interval(40.0, 1.0, table, 0.5) == (38.0, 42.0)
    assert decode.interval(40.0, 1.0, table, 0.3 + 0.2) == (38.0, 42.0)


def test_a_missing_level_names_those_that_are_there(make_card: Callable[..., ModelCard]) -> None:
    table = make_card().calibration
    assert table is not None
    with pytest.raises(ModelError, match=r"^the card has no interval of level 0\.95; it has 0\.9, 0\.5$"):
        decode.interval(40.0, 1.0, table, 0.95)


def test_decoding_follows_a_card_read_from_json(card_fields: Callable[..., dict[str, Any]]) -> None:
    """Nothing between the file's text and the years is typed twice."""
    fields = card_fields(age={"kind": "bins", "output": "p", "bins": [[0, 4], [24, 36]]})
    card = ModelCard.model_validate_json(json.dumps(fields))
    got = decode.decode_ages({"p": np.array([[0.75, 0.25]])}, card.age)
    assert got.years.tolist() == [9.0]

"""Every age loss by hand beyond the docstrings' numbers: gradients, ends of the range, classes of ages."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from agewise_lab.losses import classification, distribution, gender, ordinal, regression
from agewise_lab.losses.bins import ADIENCE_BINS, bin_of, soft_bins
from agewise_lab.losses.targets import AgeTarget, age_target, beyond, inside
from agewise_lab.losses.tasks import UncertaintyWeights, weighted

AGES = torch.arange(101.0)
CLASS_LOSSES: dict[str, Callable[..., Tensor]] = {
    "cross_entropy": classification.cross_entropy,
    "mean_variance": classification.mean_variance,
    "class_bce": classification.class_binary_cross_entropy,
    "sord": classification.sord,
    "unimodal": classification.unimodal_concentrated,
    "dldl": distribution.dldl,
    "dldl_v2": distribution.dldl_v2,
    "growing_spread": distribution.growing_spread,
}


def _years(logits: Tensor) -> Tensor:
    return torch.softmax(logits, dim=1) @ AGES


def _class(low: float, high: float) -> AgeTarget:
    nan = torch.tensor([torch.nan])
    return age_target(nan, torch.tensor([low]), torch.tensor([high]))


# ---------------------------------------------------------------- targets


@pytest.mark.parametrize(("age", "clipped", "count"), [(0.0, 0.0, 0), (100.0, 100.0, 0), (116.0, 100.0, 1)])
def test_ages_are_clipped_and_counted(age: float, clipped: float, count: int) -> None:
    target = age_target(torch.tensor([age]))
    assert (target.age.item(), int(target.clipped)) == (clipped, count)


def test_a_class_of_ages_goes_before_an_age_and_rows_can_be_chosen() -> None:
    target = age_target(torch.tensor([5.0, 9.0]), torch.tensor([torch.nan, 8.0]), torch.tensor([torch.nan, 12.0]))
    other = target.select(torch.tensor([1, 0]))
    assert (other.low.tolist(), other.high.tolist(), other.age.tolist()) == ([8.0, 5.0], [12.0, 5.0], [10.0, 5.0])
    assert len(other) == 2


def test_distance_from_a_target() -> None:
    assert beyond(torch.tensor([7.0]), _class(8, 12)).tolist() == [-1.0]
    assert beyond(torch.tensor([9.0]), _class(8, 12)).tolist() == [0.0]
    assert beyond(torch.tensor([15.0]), _class(8, 12)).tolist() == [3.0]
    assert inside(AGES, _class(8, 12))[0].nonzero().flatten().tolist() == [8, 9, 10, 11, 12]


# ---------------------------------------------------------------- losses of a distribution


@pytest.mark.parametrize("name", CLASS_LOSSES)
@pytest.mark.parametrize("age", [0.0, 20.0, 80.0, 100.0, 116.0])
def test_a_step_down_the_gradient_moves_the_age_towards_the_label(name: str, age: float) -> None:
    logits = torch.zeros(1, 101, requires_grad=True)
    CLASS_LOSSES[name](logits, age_target(torch.tensor([age])), AGES).sum().backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
    moved = _years(logits.detach() - 0.01 * logits.grad).item() - 50.0
    assert moved * (min(age, 100.0) - 50.0) > 0


@pytest.mark.parametrize("name", CLASS_LOSSES)
def test_certain_and_wrong_stays_finite(name: str) -> None:
    logits = torch.full((1, 101), -200.0)
    logits[0, 3] = 200.0
    logits.requires_grad_()
    loss = CLASS_LOSSES[name](logits, age_target(torch.tensor([90.0])), AGES)
    loss.sum().backward()
    assert torch.isfinite(loss).all()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("name", CLASS_LOSSES)
def test_inside_its_class_an_answer_costs_less_than_outside(name: str) -> None:
    def peak(age: int) -> Tensor:
        return -0.5 * ((AGES[None] - age) / 2.0) ** 2

    target = _class(25, 32)
    losses = [CLASS_LOSSES[name](peak(age), target, AGES).item() for age in (15, 28, 45)]
    assert losses[1] < losses[0]
    assert losses[1] < losses[2]


def test_cross_entropy_of_a_class_is_that_of_its_whole_probability() -> None:
    logits = torch.randn(1, 101, generator=torch.Generator().manual_seed(0))
    share = torch.softmax(logits, 1)[0, 25:33].sum()
    assert classification.cross_entropy(logits, _class(25, 32), AGES).item() == pytest.approx(-share.log().item())


def test_mean_variance_by_hand() -> None:
    probs = torch.tensor([[0.25, 0.5, 0.25]])  # mean 1, variance ½, the label 2
    loss = classification.mean_variance(probs.log(), age_target(torch.tensor([2.0]), most=2.0), torch.arange(3.0))
    assert loss.item() == pytest.approx(math.log(4) + 0.2 * 0.5 + 0.05 * 0.5)


def test_a_distribution_equal_to_its_label_costs_nothing() -> None:
    target = age_target(torch.tensor([30.0]))
    label = distribution.normal_labels(target, AGES, 2.0)
    assert distribution.dldl(label.log().clamp(min=-90), target, AGES).item() == pytest.approx(0, abs=1e-5)
    assert distribution.dldl_v2(label.log().clamp(min=-90), target, AGES).item() == pytest.approx(0, abs=1e-3)
    soft = torch.log_softmax(-(AGES[None] - 30).abs(), 1)
    assert classification.sord(soft, target, AGES).item() == pytest.approx(0, abs=1e-5)


def test_a_label_distribution_of_a_class_is_the_mean_of_its_ages() -> None:
    of_class = distribution.normal_labels(_class(25, 27), AGES, 2.0)
    each = distribution.normal_labels(age_target(torch.tensor([25.0, 26.0, 27.0])), AGES, 2.0)
    assert torch.allclose(of_class[0], each.mean(dim=0), atol=1e-6)


def test_one_peak_costs_nothing_for_its_order() -> None:
    target = age_target(torch.tensor([30.0]))
    one = -0.5 * ((AGES[None] - 30) / 3.0) ** 2
    two = torch.logaddexp(one, -0.5 * ((AGES[None] - 60) / 3.0) ** 2)
    ordered, unordered = (
        classification.unimodal_concentrated(x, target, AGES, unimodal_weight=1.0)
        - classification.unimodal_concentrated(x, target, AGES, unimodal_weight=0.0)
        for x in (one, two)
    )
    assert ordered.item() == pytest.approx(0, abs=1e-5)
    # It rises again from nothing to the top of the second, lower peak.
    assert unordered.item() == pytest.approx(torch.softmax(two, 1)[0, 60].item(), rel=1e-2)


# ---------------------------------------------------------------- numbers


@pytest.mark.parametrize("of", [regression.l1, regression.l2, regression.huber])
@pytest.mark.parametrize(("age", "label", "sign"), [(30.0, 20.0, 1), (30.0, 40.0, -1), (120.0, 116.0, 1)])
def test_the_gradient_of_a_number_has_the_sign_of_its_error(
    of: Callable[..., Tensor], age: float, label: float, sign: int
) -> None:
    years = torch.tensor([age], requires_grad=True)
    of(years, age_target(torch.tensor([label]))).sum().backward()
    assert years.grad is not None
    assert years.grad.sign().item() == sign


@pytest.mark.parametrize("of", [regression.l1, regression.l2, regression.huber])
def test_numbers_inside_their_class_cost_nothing(of: Callable[..., Tensor]) -> None:
    assert of(torch.tensor([28.0]), _class(25, 32)).item() == 0.0
    assert of(torch.tensor([35.0]), _class(25, 32)).item() == of(torch.tensor([35.0]), age_target(torch.tensor([32.0])))


def test_huber_meets_its_straight_part() -> None:
    target = age_target(torch.tensor([0.0]))
    below, above = (regression.huber(torch.tensor([x]), target, turn=3.0).item() for x in (2.9999, 3.0001))
    assert below == pytest.approx(4.5, abs=1e-3)
    assert above == pytest.approx(4.5, abs=1e-3)


@pytest.mark.parametrize(("mean", "low", "high"), [(28.0, 25.0, 32.0), (60.0, 25.0, 32.0), (2.0, 60.0, 100.0)])
def test_the_likelihood_of_a_class_is_the_normals_probability(mean: float, low: float, high: float) -> None:
    years = torch.tensor([mean], requires_grad=True)
    loss = regression.gaussian(years, torch.tensor([math.log(25.0)]), _class(low, high))
    normal = torch.distributions.Normal(torch.tensor(mean, dtype=torch.float64), 5.0)
    share = normal.cdf(torch.tensor(high + 0.5)) - normal.cdf(torch.tensor(low - 0.5))
    if float(share) > 1e-12:
        assert loss.item() == pytest.approx(-math.log(share.item()), rel=1e-3)
    assert torch.isfinite(loss).all()
    loss.sum().backward()
    assert years.grad is not None
    assert torch.isfinite(years.grad).all()
    if not low <= mean <= high:
        assert years.grad.sign().item() == (1 if mean > high else -1)


def test_a_variance_is_learned_from_the_error() -> None:
    log_variance = torch.zeros(1, requires_grad=True)
    regression.gaussian(torch.tensor([35.0]), log_variance, age_target(torch.tensor([30.0]))).sum().backward()
    assert log_variance.grad is not None
    assert log_variance.grad.item() == pytest.approx(0.5 * (1 - 25))


# ---------------------------------------------------------------- questions


@pytest.mark.parametrize("of", [ordinal.or_cnn, ordinal.coral, ordinal.corn])
@pytest.mark.parametrize("age", [0.0, 42.0, 100.0, 116.0])
def test_questions_are_pulled_towards_their_answers(of: Callable[..., Tensor], age: float) -> None:
    logits = torch.zeros(1, 100, requires_grad=True)
    of(logits, age_target(torch.tensor([age])), AGES).sum().backward()
    assert logits.grad is not None
    yes = int(min(age, 100))
    assert (logits.grad[0, :yes] < 0).all()
    reached = logits.grad[0, yes : yes + 1] if of is ordinal.corn else logits.grad[0, yes:]
    assert (reached > 0).all()
    if of is ordinal.corn:
        assert (logits.grad[0, yes + 1 :] == 0).all()


def test_a_sum_of_binary_cross_entropies() -> None:
    logits = torch.randn(1, 100, generator=torch.Generator().manual_seed(0))
    answers = (torch.arange(100) < 42).float()[None]
    expected = binary_cross_entropy_with_logits(logits, answers, reduction="sum")
    assert ordinal.coral(logits, age_target(torch.tensor([42.0])), AGES).item() == pytest.approx(expected.item())


@pytest.mark.parametrize("of", [ordinal.or_cnn, ordinal.coral, ordinal.corn])
def test_questions_inside_a_class_are_open(of: Callable[..., Tensor]) -> None:
    logits = torch.zeros(1, 100, requires_grad=True)
    of(logits, _class(25, 32), AGES).sum().backward()
    assert logits.grad is not None
    assert (logits.grad[0, 25:32] == 0).all()
    assert (logits.grad[0, :25] < 0).all()


def test_importance_weighs_thresholds() -> None:
    target = age_target(torch.tensor([1.0]), most=2.0)
    loss = ordinal.or_cnn(torch.zeros(1, 2), target, torch.arange(3.0), importance_K=torch.tensor([2.0, 0.0]))
    assert loss.item() == pytest.approx(2 * math.log(2))


# ---------------------------------------------------------------- bins, gender, tasks


@pytest.mark.parametrize(
    ("age", "which"), [(0, 0), (2.9, 0), (4, 1), (12, 2), (14, 2), (20, 3), (25, 4), (43, 5), (50, 6), (116, 7)]
)
def test_adiences_bins(age: float, which: int) -> None:
    assert bin_of(age_target(torch.tensor([float(age)])), torch.tensor(ADIENCE_BINS)).item() == which


@pytest.mark.parametrize(("low", "high", "which"), [(0, 2, 0), (25, 32, 4), (60, 100, 7)])
def test_a_class_that_is_a_bin_is_that_bin(low: float, high: float, which: int) -> None:
    assert bin_of(_class(low, high), torch.tensor(ADIENCE_BINS)).item() == which


def test_soft_neighbours_by_hand() -> None:
    logits = torch.randn(1, 8, generator=torch.Generator().manual_seed(0))
    label = torch.tensor([0.0, 0.1, 0.8, 0.1, 0, 0, 0, 0])
    expected = torch.nn.functional.kl_div(torch.log_softmax(logits, 1)[0], label, reduction="sum")
    loss = soft_bins(logits, age_target(torch.tensor([10.0])), torch.tensor(ADIENCE_BINS), neighbours=0.2)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    with pytest.raises(ValueError, match="share of the label's weight, 0 up to 1, got 1"):
        soft_bins(logits, age_target(torch.tensor([10.0])), torch.tensor(ADIENCE_BINS), neighbours=1)


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_gender_gradients(label: float) -> None:
    female = torch.tensor([label, torch.nan])
    sign = 1.0 if label == 0.0 else -1.0  # of the gradient of what speaks for female
    both = torch.zeros(2, 2, requires_grad=True)
    gender.two_way(both, female).sum().backward()
    one, number = (torch.full((2,), 0.5, requires_grad=True) for _ in range(2))
    gender.binary(one, female).sum().backward()
    gender.regression(number, female).sum().backward()
    assert both.grad is not None
    assert both.grad.sign().tolist() == [[sign, -sign], [0.0, 0.0]]
    for value in (one, number):
        assert value.grad is not None
        assert value.grad.sign().tolist() == [sign, 0.0]


def test_learned_weights_fall_for_the_uncertain_task() -> None:
    weigh = UncertaintyWeights(["age", "gender"])
    optimizer = torch.optim.SGD(weigh.parameters(), lr=0.1)
    losses = {"age": torch.tensor(4.0), "gender": torch.tensor(0.25)}
    for _ in range(300):
        optimizer.zero_grad()
        weigh(losses).backward()
        optimizer.step()
    # The optimum of exp(-s) loss + s / 2 is s = log(2 loss).
    assert weigh.log_variance["age"].item() == pytest.approx(math.log(8), abs=0.05)
    assert weigh.log_variance["gender"].item() == pytest.approx(math.log(0.5), abs=0.05)


def test_fixed_weights() -> None:
    assert weighted({"age": torch.tensor(2.0), "gender": torch.tensor(3.0)}, {"age": 0.5}).item() == 4.0

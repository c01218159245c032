"""Each head: its decoding is agewise's, its loss pulls the right way, unknown labels cost nothing, names are told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from agewise import decode
from agewise.card import AgeSpec, GenderSpec
from agewise_lab.heads.base import AgeHead, GenderHead
from agewise_lab.heads.build import build_net
from agewise_lab.heads.registry import (
    AGE_HEADS,
    GENDER_HEADS,
    build_age_head,
    build_gender_head,
    options_of,
)

FEATURES = 24


def _features(count: int = 16, seed: int = 0) -> Tensor:
    # Above zero, as pooled features after a ReLU are: stagewise heads would give nothing for most others.
    return torch.rand(count, FEATURES, generator=torch.Generator().manual_seed(seed)) * 3


def _age(name: str, **options: Any) -> AgeHead:
    torch.manual_seed(1)
    return build_age_head(name, FEATURES, **options).eval()


def _gender(name: str, **options: Any) -> GenderHead:
    torch.manual_seed(1)
    return build_gender_head(name, FEATURES, **options).eval()


def _arrays(outputs: dict[str, Tensor]) -> dict[str, np.ndarray]:
    return {name: value.detach().numpy() for name, value in outputs.items()}


# ---------------------------------------------------------------- the one decoder


@pytest.mark.parametrize("name", AGE_HEADS)
def test_years_are_those_of_agewise_decode(name: str) -> None:
    head = _age(name)
    spec: AgeSpec = head.decoding
    outputs = head(_features())
    estimates = decode.decode_ages(_arrays(head.served(outputs)), spec)
    assert head.years(outputs).detach().numpy() == pytest.approx(estimates.years, abs=2e-3)
    assert len(set(estimates.years.round(4))) > 8, "the same age for all features shows nothing"


@pytest.mark.parametrize("name", GENDER_HEADS)
def test_female_is_that_of_agewise_decode(name: str) -> None:
    head = _gender(name)
    spec: GenderSpec = head.decoding
    outputs = head(_features())
    expected = decode.decode_female_probability(_arrays(head.served(outputs)), spec)
    assert head.female(outputs).detach().numpy() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("kind", ["or-cnn", "coral", "corn"])
def test_what_ordinal_answers_mean(kind: str) -> None:
    head = _age(kind, classes=4)
    yes_yes_no = torch.tensor([[30.0, 30.0, -30.0]])
    assert head.years({"age_thresholds": yes_yes_no}).tolist() == pytest.approx([2.0])
    contradiction = torch.tensor([[-30.0, 30.0, 30.0]])  # not older than 0, but than 1 and 2
    assert head.years({"age_thresholds": contradiction}).tolist() == pytest.approx([0.0], abs=1e-6)


def test_the_order_of_a_stagewise_gender_is_the_cards() -> None:
    outputs = {"gender_value": torch.tensor([[0.2]])}
    assert _gender("soft-stagewise").female(outputs).tolist() == pytest.approx([0.8])
    other = _gender("soft-stagewise", order=("male", "female"))
    assert other.female(outputs).tolist() == pytest.approx([0.2])
    loss = other.loss(outputs, {"is_female": torch.tensor([1.0])})
    assert loss.tolist() == pytest.approx([0.8])


# ---------------------------------------------------------------- losses


@pytest.mark.parametrize("age", [0.0, 30.0, 100.0])
@pytest.mark.parametrize("name", [name for name in AGE_HEADS if name != "soft-stagewise"])
def test_training_on_one_age_leads_to_it(name: str, age: float) -> None:
    head = _age(name).train()
    features, targets = _features(8), {"age": torch.full((8,), age)}
    before = (head.years(head(features)) - age).abs().mean().item()
    optimizer = torch.optim.Adam(head.parameters(), lr=0.01 if name == "gaussian" else 0.05)
    for _ in range(60):
        optimizer.zero_grad()
        head.loss(head(features), targets).mean().backward()
        optimizer.step()
    after = (head.years(head(features)) - age).abs().mean().item()
    assert after < max(0.7 * before, 3.0)


def test_stagewise_training_leads_to_the_age() -> None:
    head = _age("soft-stagewise", dropout=0.0).train()
    features, targets = _features(8), {"age": torch.full((8,), 34.0)}
    optimizer = torch.optim.Adam(head.parameters(), lr=0.02)
    for _ in range(200):
        optimizer.zero_grad()
        head.loss(head(features), targets).mean().backward()
        optimizer.step()
    assert (head.years(head(features)) - 34.0).abs().mean().item() < 3


@pytest.mark.parametrize("name", AGE_HEADS)
def test_one_loss_a_face_and_none_for_an_unknown_age(name: str) -> None:
    head = _age(name)
    outputs = head(_features(3))
    loss = head.loss(outputs, {"age": torch.tensor([20.0, torch.nan, 60.0])})
    assert loss.shape == (3,)
    assert torch.isfinite(loss).all()
    assert loss[1].item() == 0.0
    loss.sum().backward()
    gradients = [weight.grad for weight in head.parameters() if weight.grad is not None]
    assert gradients
    assert all(torch.isfinite(gradient).all() for gradient in gradients)


@pytest.mark.parametrize("name", AGE_HEADS)
def test_a_class_of_ages_may_stand_for_an_age(name: str) -> None:
    head = _age(name)
    outputs = head(_features(2))
    nan = torch.full((2,), torch.nan)
    targets = {"age": nan, "age_low": torch.tensor([20.0, 0.0]), "age_high": torch.tensor([30.0, 100.0])}
    loss = head.loss(outputs, targets)
    assert torch.isfinite(loss).all()
    exact = head.loss(outputs, {"age": torch.tensor([25.0, 50.0])})
    assert not torch.allclose(loss, exact) or name == "bins"


@pytest.mark.parametrize(
    ("name", "clipped"), [("expectation", 1), ("coral", 1), ("l1", 0), ("bins", 1), ("soft-stagewise", 1)]
)
def test_ages_beyond_what_a_head_can_give_are_clipped_and_counted(name: str, clipped: int) -> None:
    head = _age(name)
    targets = {"age": torch.tensor([0.0, 100.0, 116.0])}
    assert head.clipped(targets) == clipped
    if clipped:
        most = {"age": torch.tensor([0.0, 100.0, head.most])}
        outputs = head(_features(3))
        assert torch.equal(head.loss(outputs, targets), head.loss(outputs, most))


@pytest.mark.parametrize("name", GENDER_HEADS)
def test_gender_is_learned_and_unknown_ones_cost_nothing(name: str) -> None:
    head = _gender(name, **({"dropout": 0.0} if name == "soft-stagewise" else {})).train()
    features = torch.cat([_features(6), 0.2 * _features(6, 1)])
    labels = torch.tensor([1.0] * 6 + [0.0] * 6)
    loss = head.loss(head(features), {"is_female": torch.full((12,), torch.nan)})
    assert loss.tolist() == [0.0] * 12
    optimizer = torch.optim.Adam(head.parameters(), lr=0.03)
    first = head.loss(head(features), {"is_female": labels}).mean().item()
    for _ in range(150):
        optimizer.zero_grad()
        head.loss(head(features), {"is_female": labels}).mean().backward()
        optimizer.step()
    assert head.loss(head(features), {"is_female": labels}).mean().item() < 0.5 * first
    assert ((head.female(head(features)) > 0.5) == (labels > 0.5)).float().mean().item() >= 0.9


# ---------------------------------------------------------------- by name


def test_unknown_names_and_options_answer_with_the_list() -> None:
    with pytest.raises(ValueError, match=r"unknown age head 'corral': did you mean 'coral'\?.* Known: .*mean-variance"):
        build_age_head("corral", FEATURES)
    with pytest.raises(ValueError, match="unknown gender head 'one-way': did you mean 'two-way'"):
        build_gender_head("one-way", FEATURES)
    with pytest.raises(ValueError, match=r"dldl: unknown option 'spred': did you mean 'spread'"):
        build_age_head("dldl", FEATURES, spred=3)


@pytest.mark.parametrize("name", AGE_HEADS)
def test_every_head_tells_its_options(name: str) -> None:
    options = options_of(name, AGE_HEADS[name])
    assert "features" not in options
    assert ("feature_pairs" if name == "soft-stagewise" else "hidden") in options


def test_options_reach_layers_and_loss() -> None:
    assert [tuple(w.shape) for w in _age("dldl", hidden=7, bias=False).parameters()] == [(7, 24), (7,), (101, 7)]
    narrow, wide = _age("dldl", spread=1.0), _age("dldl", spread=4.0)
    outputs, targets = narrow(_features(2)), {"age": torch.tensor([20.0, 40.0])}
    assert not torch.allclose(narrow.loss(outputs, targets), wide.loss(outputs, targets))
    assert sum(w.numel() for w in _age("coral").parameters()) == 24 + 1 + 100


@pytest.mark.parametrize(("age", "gender"), [("dldl", None), (None, "binary"), ("corn", "two-way")])
def test_any_head_on_a_backbone_for_one_task_or_both(age: str | None, gender: str | None) -> None:
    net = build_net("agewise-s", age=age, gender=gender, backbone_options={"size": 32, "widths": (8, 8, 8, 8)})
    outputs = net(torch.rand(2, 3, 32, 32))
    assert {name.split("_")[0] for name in outputs} == {
        task for task, head in (("age", age), ("gender", gender)) if head
    }


def test_a_net_without_heads_is_refused() -> None:
    with pytest.raises(ValueError, match="an age head, a gender head, or both"):
        build_net("agewise-s")


def test_features_that_do_not_divide_into_stages() -> None:
    with pytest.raises(ValueError, match="into 6 equal parts; 25 do not divide"):
        build_age_head("soft-stagewise", 25)

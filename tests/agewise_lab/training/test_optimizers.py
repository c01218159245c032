"""Optimisers, learning rates over a run, and parts that stand still."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch

from agewise_lab.training.callbacks import Plateau
from agewise_lab.training.config import (
    FreezeConfig,
    HeadConfig,
    ModelConfig,
    NetConfig,
    OptimizerConfig,
    ScheduleConfig,
    TrainConfig,
)
from agewise_lab.training.module import AgeGenderModule
from agewise_lab.training.optimizers import held_still, make_optimizer, make_schedule, share_of_peak

MakeConfig = Callable[..., TrainConfig]

MODEL = ModelConfig(
    backbone="agewise-s",
    size=16,
    options={"stem": 4, "widths": (4, 4, 8, 8), "depths": (1, 1, 1, 1)},
    age=HeadConfig(name="dldl"),
    gender=HeadConfig(name="two-way", weight=0.5),
)


def _config(make_config: MakeConfig, **changes: Any) -> TrainConfig:
    return make_config(nets=(NetConfig(name="net", architecture=MODEL, learning_rate=0.1),), **changes)


@pytest.mark.parametrize(
    ("how", "kind", "settings"),
    [
        (OptimizerConfig(name="adamw"), torch.optim.AdamW, {}),
        (OptimizerConfig(name="adam"), torch.optim.Adam, {}),
        (
            OptimizerConfig(name="sgd", momentum=0.8, nesterov=True),
            torch.optim.SGD,
            {"momentum": 0.8, "nesterov": True},
        ),
    ],
)
def test_methods_by_name(
    make_config: MakeConfig, how: OptimizerConfig, kind: type, settings: dict[str, object]
) -> None:
    module = AgeGenderModule(_config(make_config, optimizer=how), steps=10)
    optimizer = make_optimizer(module.nets, [], module.config)
    assert type(optimizer) is kind
    assert {key: optimizer.param_groups[0][key] for key in settings} == settings
    grouped = [weight for group in optimizer.param_groups for weight in group["params"]]
    assert {id(weight) for weight in grouped} == {id(weight) for weight in module.parameters()}
    assert len(grouped) == len(list(module.parameters()))
    assert {group["part"] for group in optimizer.param_groups} == {"stem", "trunk", "heads"}


@pytest.mark.parametrize("everything", [False, True])
def test_what_decays(make_config: MakeConfig, everything: bool) -> None:
    how = OptimizerConfig(name="adam", decay_all=everything)
    module = AgeGenderModule(_config(make_config, optimizer=how, weight_decay=0.1), steps=10)
    for group in make_optimizer(module.nets, [], module.config).param_groups:
        for weight in group["params"]:
            assert group["weight_decay"] == (0.1 if everything or weight.ndim > 1 else 0.0)


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [
        (ScheduleConfig(name="constant"), {0: 1, 50: 1, 99: 1}),
        (
            ScheduleConfig(name="step", milestones=(1 / 3, 2 / 3), factor=0.1),
            {0: 1, 33: 1, 34: 0.1, 66: 0.1, 67: 0.01, 99: 0.01},
        ),
        (ScheduleConfig(name="quarter", factor=0.2), {0: 1, 24: 1, 25: 0.2, 50: 0.04, 75: 0.008, 99: 0.008}),
        (ScheduleConfig(name="plateau"), {0: 1, 99: 1}),
    ],
)
def test_learning_rates(make_config: MakeConfig, schedule: ScheduleConfig, rates: dict[int, float]) -> None:
    config = _config(make_config, schedule=schedule)
    module = AgeGenderModule(config, steps=100)
    optimizer = make_optimizer(module.nets, [], config)
    moved = make_schedule(optimizer, config, 100)
    seen = []
    for _ in range(100):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        moved.step()
    assert {step: seen[step] for step in rates} == pytest.approx({step: 0.1 * share for step, share in rates.items()})


def test_a_cosine_rises_and_falls(make_config: MakeConfig) -> None:
    config = _config(make_config, schedule=ScheduleConfig(name="cosine", least=0.1), warm_up=0.1)
    shares = [share_of_peak(step, config, 100) for step in range(101)]
    assert shares[0] == pytest.approx(1 / 11)
    assert shares[:11] == sorted(shares[:11])
    assert shares[10] == pytest.approx(1.0)
    assert shares[55] == pytest.approx(0.55)  # half way down
    assert shares[10:] == sorted(shares[10:], reverse=True)
    assert shares[100] == pytest.approx(0.1)


def test_one_cycle_ends_at_a_thousandth_of_its_start(make_config: MakeConfig) -> None:
    config = _config(make_config, warm_up=0.1)
    module = AgeGenderModule(config, steps=50)
    optimizer = make_optimizer(module.nets, [], config)
    schedule = make_schedule(optimizer, config, 50)
    seen = []
    for _ in range(50):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if len(seen) < 50:
            schedule.step()
    assert max(seen) == pytest.approx(0.1, rel=1e-3)
    assert seen[0] == pytest.approx(0.1 / 25)
    assert seen[-1] == pytest.approx(0.1 / 25 / 1e3, rel=1e-2)


def test_a_plateau_counts_checks_without_a_better_figure(make_config: MakeConfig) -> None:
    schedule = ScheduleConfig(name="plateau", factor=0.1, patience=2, least=0.005)
    plateau = Plateau(_config(make_config, schedule=schedule))
    reference_weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([reference_weight], lr=1.0)
    reference = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.1, patience=2, min_lr=0.005)
    for figure in (9.0, 8.0, 8.1, 8.2, 8.0, 7.9, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 3.0, 3.0, 3.0):
        reference.step(figure)
        assert plateau.after(figure) == pytest.approx(optimizer.param_groups[0]["lr"])
    assert plateau.after(3.0) == 0.005
    again = Plateau(_config(make_config, schedule=schedule))
    again.load_state_dict(plateau.state_dict())
    assert again.state_dict() == plateau.state_dict()


def test_a_plateau_of_a_figure_that_should_rise(make_config: MakeConfig) -> None:
    schedule = ScheduleConfig(name="plateau", factor=0.1, patience=1)
    plateau = Plateau(_config(make_config, schedule=schedule, monitor="tiny/whole_cs5"))
    assert [plateau.after(share) for share in (0.3, 0.4, 0.5, 0.5, 0.6, 0.6)] == [1.0] * 6
    assert plateau.after(0.5) == pytest.approx(0.1)


def test_parts_stand_still_and_then_move(make_config: MakeConfig) -> None:
    freeze = (FreezeConfig(until=1, parts=("stem", "trunk")), FreezeConfig(until=2, parts=("stem",)))
    config = _config(make_config, freeze=freeze, weight_decay=0.1)
    module = AgeGenderModule(config, steps=10)
    optimizer = make_optimizer(module.nets, [], config)
    for epoch, moving in enumerate([{"heads"}, {"heads", "trunk"}, {"heads", "trunk", "stem"}]):
        before = [[weight.clone() for weight in group["params"]] for group in optimizer.param_groups]
        for weight in module.parameters():
            weight.grad = torch.ones_like(weight)
        with held_still(optimizer.param_groups, config, epoch, 1.0):
            optimizer.step()
        moved = {
            group["part"]
            for group, weights in zip(optimizer.param_groups, before, strict=True)
            for weight, old in zip(group["params"], weights, strict=True)
            if not torch.equal(weight, old)
        }
        assert moved == moving
        assert all(weight.requires_grad for weight in module.parameters())
        assert {group["lr"] for group in optimizer.param_groups} == {0.1}


def test_batch_norms_of_parts_that_stand_still_keep_their_statistics(make_config: MakeConfig) -> None:
    config = _config(make_config, freeze=(FreezeConfig(until=1, parts=("stem", "trunk")),), mixup=0.0)
    module = AgeGenderModule(config, steps=10)
    module.on_train_epoch_start()  # epoch 0, as long as no trainer says otherwise
    norms = [m for m in module.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert norms
    assert not any(norm.training for norm in norms)
    assert module.nets["net"].age_head.training
    released = AgeGenderModule(dataclasses.replace(config, freeze=()), steps=10)
    released.eval()
    released.on_train_epoch_start()
    assert all(module.training for module in released.nets.modules())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"milestones": (0.5, 0.5)}, "shares of the run"),
        ({"milestones": (30.0, 60.0)}, "shares of the run"),
        ({"name": "constant", "milestones": (0.5,)}, "belong to the schedule 'step'"),
        ({"milestones": ()}, "belong to the schedule 'step'"),
    ],
)
def test_schedules_that_make_no_sense(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ScheduleConfig(**({"name": "step", "milestones": (0.5,)} | changes))

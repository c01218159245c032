"""Runs: the plan by epoch, and plans that make no sense."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from agewise_lab.architectures.compact import CompactConfig
from agewise_lab.training.augment import AugmentConfig
from agewise_lab.training.config import HeadConfig, ModelConfig, NetConfig, TrainConfig

MakeConfig = Callable[..., TrainConfig]


def test_sizes_by_epoch(make_config: MakeConfig) -> None:
    config = make_config(epochs=10, sizes=((0.3, 8), (0.6, 12), (1.0, 16)))
    assert [config.size_at(epoch) for epoch in range(10)] == [8, 8, 8, 12, 12, 12, 16, 16, 16, 16]


def test_augmentation_weakens_to_a_third_at_the_end(make_config: MakeConfig) -> None:
    config = make_config(epochs=100, calm=0.2, augment=AugmentConfig(flip=0.5, erase=0.3))
    assert config.augment_at(0) == config.augment_at(79) == config.augment
    assert config.augment_at(89).erase == pytest.approx(0.3 * (1 / 3 + 2 / 3 * 10.5 / 20))
    assert config.augment_at(99).erase == pytest.approx(0.3 * (1 / 3 + 2 / 3 * 0.5 / 20))
    assert config.augment_at(99).flip == 0.5
    assert make_config(calm=0.0).augment_at(3) == AugmentConfig()


def test_second_crops_calm_down_but_move_as_far(make_config: MakeConfig) -> None:
    assert make_config().second_at(0) is None
    config = make_config(epochs=100, calm=0.2, second=AugmentConfig(flip=0.0, shift=0.02, dark=0.3))
    assert config.second_at(0) == config.second
    late = config.second_at(99)
    assert late is not None
    assert late.shift == 0.02
    assert late.dark == pytest.approx(0.3 * (1 / 3 + 2 / 3 * 0.5 / 20))


def _net(**changes: Any) -> NetConfig:
    return dataclasses.replace(NetConfig(name="a", architecture=CompactConfig()), **changes)


def _by_name(**changes: Any) -> NetConfig:
    return _net(architecture=ModelConfig(backbone="ssrnet", size=64, age=HeadConfig(name="l1")), **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"nets": ()}, "at least one network"),
        ({"nets": (_net(), _net())}, "two networks are named 'a'"),
        ({"nets": (_net(), _net(name="b", architecture=CompactConfig(ages=50)))}, "b: all networks"),
        ({"nets": (_net(teacher="b"), _net(name="b"))}, r"a: teacher 'b' must stand before it among \[\]"),
        ({"nets": (_net(), _net(name="b", teacher="b"))}, r"teacher 'b' must stand before it among \['a'\]"),
        ({"nets": (_by_name(), _net(name="b", teacher="a"))}, "b: networks by name do not teach, so 'a' cannot"),
        ({"nets": (_by_name(frozen="run"), _net(name="b"))}, "a: networks by name do not teach"),
        ({"nets": (_by_name(hint=1.0),)}, "a: networks by name learn answers, not features; leave `hint` out"),
        ({"nets": (_by_name(),), "second": AugmentConfig()}, "a: networks by name learn from one crop"),
        ({"consistency_weight": 0.1}, "two crops are apart; got 0.1 with second=None"),
        ({"consistency_weight": -1.0, "second": AugmentConfig()}, "is 0 or more"),
        ({"second_taught": "own"}, "no second crop for second_taught='own': give the run a `second`"),
        ({"sizes": ()}, "rise and end at 1.0"),
        ({"sizes": ((0.5, 16),)}, "rise and end at 1.0"),
        ({"sizes": ((0.5, 8), (0.4, 12), (1.0, 16))}, "rise and end at 1.0"),
    ],
)
def test_plans_that_make_no_sense(make_config: MakeConfig, changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_config(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"distill": 1.5}, "share, 0 to 1, got 1.5"), ({"name": "v1.0"}, "no dot, got 'v1.0'"), ({"name": ""}, "got ''")],
)
def test_networks_that_make_no_sense(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _net(**changes)

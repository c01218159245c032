"""Configurations as plain data: there and back, older ones, and data that are none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from agewise_lab.recipes import RECIPES
from agewise_lab.training.config import TrainConfig
from agewise_lab.training.plain import from_plain, to_plain, with_defaults

MakeConfig = Callable[..., TrainConfig]


@pytest.mark.parametrize("name", ["agewise-s", "agewise-m"])
def test_there_and_back(name: str) -> None:
    config = RECIPES[name]()
    assert from_plain(TrainConfig, to_plain(config)) == config


def test_a_run_from_before_a_setting_was_there_has_its_default(make_config: MakeConfig) -> None:
    plain = to_plain(make_config())
    for key in ("frozen", "mirrored"):
        del plain["nets"][0][key]
    assert with_defaults(plain) == to_plain(make_config())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"speed": 3}, "expected settings of name, nets, epochs, .*speed"),
        ({"epochs": 2.5}, "config.epochs: expected int, got 2.5"),
        ({"epochs": True}, "config.epochs: expected int, got True"),
        ({"ema": "high"}, "config.ema: expected float, got 'high'"),
        ({"sizes": [[0.5, 8, 9]]}, "config.sizes.0: expected 2 values, got 3"),
        ({"sizes": 64}, "config.sizes: expected a list, got 64"),
    ],
)
def test_what_is_no_configuration(make_config: MakeConfig, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_plain(TrainConfig, to_plain(make_config()) | change)

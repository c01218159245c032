"""Recipes: functions that return a whole, typed run."""

from __future__ import annotations

from collections.abc import Callable

from agewise.errors import unknown_name
from agewise_lab.recipes.agewise_m import agewise_m
from agewise_lab.recipes.agewise_s import agewise_s
from agewise_lab.training.config import TrainConfig

RECIPES: dict[str, Callable[[], TrainConfig]] = {"agewise-s": agewise_s, "agewise-m": agewise_m}


def find_recipe(name: str) -> TrainConfig:
    """A recipe's run by name.

    Raises:
        ValueError: no such recipe; the message lists them.
    """
    if name not in RECIPES:
        raise ValueError(unknown_name("recipe", name, RECIPES))
    return RECIPES[name]()

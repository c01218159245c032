"""Every recipe builds, and trains at the size that it serves."""

from __future__ import annotations

import pytest

from agewise_lab.recipes import RECIPES, find_recipe
from agewise_lab.training.module import AgeGenderModule


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_builds(name: str) -> None:
    config = find_recipe(name)
    assert config.name == name
    assert (RECIPES[name].__doc__ or "").strip()
    module = AgeGenderModule(config, steps=10)
    assert set(module.nets) == {net.name for net in config.nets}
    for net in config.nets:
        assert config.sizes[-1][1] == net.architecture.size


def test_an_unknown_name_answers_with_the_list_and_the_nearest() -> None:
    with pytest.raises(ValueError, match="unknown recipe 'agewize-s': did you mean 'agewise-s'.* Known: agewise-s"):
        find_recipe("agewize-s")

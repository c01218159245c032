"""Recipes by name, and that each says what it is. That each trains is a contract: tests/contracts/test_recipes.py."""

from __future__ import annotations

import pytest

from agewise_lab.recipes import RECIPES, STUDIES, about_recipe, find_recipe, find_runs
from agewise_lab.training.config import ModelConfig, ScheduleConfig
from agewise_lab.training.plain import from_plain, to_plain


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_is_whole(name: str) -> None:
    config = find_recipe(name)
    assert config.name == name
    assert about_recipe(name).endswith(".")
    assert config.sizes[-1][1] == config.nets[-1].architecture.size
    assert from_plain(type(config), to_plain(config)) == config


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_is_of_recipes(name: str) -> None:
    assert [run.name for run in find_runs(name)] == list(STUDIES[name])
    assert len(find_runs(name)) == (25 if name == "ssrnet-sweep" else 5)


def test_an_unknown_name_answers_with_the_list_and_the_nearest() -> None:
    with pytest.raises(ValueError, match="unknown recipe 'agewize-s': did you mean 'agewise-s'.* Known: agewise-s"):
        find_recipe("agewize-s")


def test_the_sweep_is_over_both_lambdas() -> None:
    seen = set()
    for config in find_runs("ssrnet-sweep"):
        model = config.nets[0].architecture
        assert isinstance(model, ModelConfig)
        assert model.age is not None
        seen.add((model.age.options["lambda_local"], model.age.options["lambda_d"]))
    assert seen == {(a, b) for a in (0, 0.25, 0.5, 0.75, 1) for b in (0, 0.25, 0.5, 0.75, 1)}


def test_chains_lead_back_to_a_run_from_scratch() -> None:
    for name in ("ssrnet-morph2", "ssrnet-gender-morph2", "mobilenet-0.5-morph2"):
        before = find_recipe(name).start
        assert before is not None
        first = find_recipe(find_recipe(before.removeprefix("runs/")).start.removeprefix("runs/"))  # type: ignore[union-attr]
        assert first.name.endswith("-imdb")
        assert first.start is None


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("ssrnet-imdb", {"epochs": 90, "batch": 128, "split": "80/20"}),
        ("ssrnet-wiki", {"epochs": 90, "batch": 50, "split": "80/20"}),
        ("wideresnet-16-8", {"epochs": 30, "batch": 32, "split": "90/10", "weight_decay": 1e-3, "mixup": 0.0}),
        ("wideresnet-16-8-aug", {"mixup": 1.0, "mixup_alpha": 0.2}),
        ("lmtcnn-2-1-fold-3", {"batch": 128, "split": "fold 3", "weight_decay": 5e-4}),
        ("resnet-18", {"epochs": 32, "weight_decay": 1e-6}),
    ],
)
def test_published_settings(name: str, settings: dict[str, object]) -> None:
    config = find_recipe(name)
    assert {key: getattr(config, key) for key in settings} == settings


def test_published_schedules() -> None:
    assert find_recipe("ssrnet-imdb").schedule == ScheduleConfig(name="step", milestones=(1 / 3, 2 / 3), factor=0.1)
    assert find_recipe("wideresnet-16-8").schedule == ScheduleConfig(name="quarter", factor=0.2)
    assert find_recipe("lmtcnn-1-1-fold-0").schedule.milestones == (0.2, 0.4, 0.6, 0.8)
    assert find_recipe("resnet-18").schedule == ScheduleConfig(name="plateau", factor=0.1, patience=8, least=1e-4)


@pytest.mark.parametrize("name", ["agewise-ssr", "agewise-ssr-taught"])
def test_agewises_smallest_is_small(name: str) -> None:
    import torch

    from agewise_lab.training.networks import make_network

    with torch.device("meta"):
        net = make_network(find_recipe(name).nets[0].architecture)
    assert sum(weight.numel() for weight in net.parameters()) * 4 < 350_000

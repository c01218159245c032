"""Recipes: functions that return a whole, typed run; and studies, several of them one after the other."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from agewise.errors import unknown_name
from agewise_lab.recipes.adience import ADIENCE, FOLDS
from agewise_lab.recipes.agewise_m import (
    agewise_m,
    agewise_m_lit,
    agewise_m_recognition,
    agewise_m_recognition_calm,
    agewise_m_recognition_on,
    agewise_m_small,
    agewise_m_small_on,
    agewise_m_steady,
    agewise_m_taught,
    agewise_m_taught_on,
    recognition_teacher,
    recognition_teacher_on,
)
from agewise_lab.recipes.agewise_s import (
    agewise_s,
    agewise_s_112,
    agewise_s_112_lit,
    agewise_s_112_on,
    agewise_s_112_small,
    agewise_s_112_small_on,
    agewise_s_112_steady,
    agewise_s_hinted,
    agewise_s_steady,
    agewise_s_taught,
)
from agewise_lab.recipes.agewise_ssr import agewise_ssr, agewise_ssr_on, agewise_ssr_taught
from agewise_lab.recipes.baselines import BASELINES
from agewise_lab.recipes.dex import dex
from agewise_lab.recipes.resnet import resnet_18
from agewise_lab.recipes.ssrnet import (
    SWEEP,
    ssrnet_gender_imdb,
    ssrnet_gender_morph2,
    ssrnet_gender_wiki,
    ssrnet_imdb,
    ssrnet_megaage_asian,
    ssrnet_morph2,
    ssrnet_utkface,
    ssrnet_wiki,
)
from agewise_lab.recipes.wideresnet import wideresnet_16_8, wideresnet_16_8_aug
from agewise_lab.training.config import TrainConfig

RECIPES: dict[str, Callable[[], TrainConfig]] = {
    "agewise-s": agewise_s,
    "agewise-s-taught": agewise_s_taught,
    "agewise-s-hinted": agewise_s_hinted,
    "agewise-s-steady": agewise_s_steady,
    "agewise-s-112": agewise_s_112,
    "agewise-s-112-steady": agewise_s_112_steady,
    "agewise-s-112-small": agewise_s_112_small,
    "agewise-s-112-small-on": agewise_s_112_small_on,
    "agewise-s-112-on": agewise_s_112_on,
    "agewise-s-112-lit": agewise_s_112_lit,
    "agewise-m": agewise_m,
    "agewise-m-recognition": agewise_m_recognition,
    "agewise-m-recognition-on": agewise_m_recognition_on,
    "agewise-m-recognition-calm": agewise_m_recognition_calm,
    "agewise-m-taught": agewise_m_taught,
    "agewise-m-steady": agewise_m_steady,
    "agewise-m-taught-on": agewise_m_taught_on,
    "agewise-m-small": agewise_m_small,
    "agewise-m-small-on": agewise_m_small_on,
    "agewise-m-lit": agewise_m_lit,
    "recognition-teacher": recognition_teacher,
    "recognition-teacher-on": recognition_teacher_on,
    "agewise-ssr": agewise_ssr,
    "agewise-ssr-on": agewise_ssr_on,
    "agewise-ssr-taught": agewise_ssr_taught,
    "ssrnet-imdb": ssrnet_imdb,
    "ssrnet-wiki": ssrnet_wiki,
    "ssrnet-morph2": ssrnet_morph2,
    "ssrnet-megaage-asian": ssrnet_megaage_asian,
    "ssrnet-utkface": ssrnet_utkface,
    "ssrnet-gender-imdb": ssrnet_gender_imdb,
    "ssrnet-gender-wiki": ssrnet_gender_wiki,
    "ssrnet-gender-morph2": ssrnet_gender_morph2,
    **SWEEP,
    **BASELINES,
    "wideresnet-16-8": wideresnet_16_8,
    "wideresnet-16-8-aug": wideresnet_16_8_aug,
    **ADIENCE,
    "resnet-18": resnet_18,
    "dex": dex,
}

STUDIES: dict[str, tuple[str, ...]] = {
    "ssrnet-sweep": tuple(SWEEP),
    **{
        f"{name}-adience": tuple(f"{name}-fold-{k}" for k in FOLDS)
        for name in ("lmtcnn-1-1", "lmtcnn-2-1", "levi-hassner-age", "levi-hassner-gender")
    },
}
"""Several recipes on one store, each in a folder of its own."""


def find_recipe(name: str) -> TrainConfig:
    """A recipe's run by name.

    Raises:
        ValueError: no such recipe; the message lists them.
    """
    if name not in RECIPES:
        raise ValueError(unknown_name("recipe", name, [*RECIPES, *STUDIES]))
    return RECIPES[name]()


def find_runs(name: str) -> tuple[TrainConfig, ...]:
    """The run of a recipe, or those of a study.

    Raises:
        ValueError: neither of that name; the message lists them.
    """
    return tuple(find_recipe(recipe) for recipe in STUDIES.get(name, (name,)))


def about_recipe(name: str) -> str:
    """What a recipe or a study is, in one line."""
    if name in STUDIES:
        return f"A study of {len(STUDIES[name])} runs: {STUDIES[name][0]} … {STUDIES[name][-1]}."
    recipe = RECIPES[name]
    described = recipe.func if isinstance(recipe, partial) else recipe
    return (described.__doc__ or "").splitlines()[0]

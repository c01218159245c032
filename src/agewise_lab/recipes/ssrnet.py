"""SSR-Net's study (Yang et al., IJCAI 2018): IMDB, then WIKI from IMDB, then MORPH2 from WIKI; gender; the sweep.

Adam 1e-3, L1 loss, 90 epochs, ×0.1 at 30 and 60, batch 128 (IMDB) or 50, 80/20 split; a flip half of the time, and each
with p = .25 a rotation up to 20°, a shear up to .2, a shift up to .2, a zoom from .8 to 1.2.
A chained recipe starts from `runs/<the run before>`; `start=FOLDER` on the command line names another place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from agewise_lab.recipes._parts import published
from agewise_lab.training.augment import NO_AUGMENTATION, AugmentConfig
from agewise_lab.training.config import HeadConfig, ModelConfig, OptimizerConfig, ScheduleConfig, TrainConfig

STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Of both lambdas in the sweep."""


def study_augmentation() -> AugmentConfig:
    """What all networks of the study were trained with."""
    values = {name: getattr(NO_AUGMENTATION, name) for name in ("colour", "grey", "low_resolution", "blur", "noise")}
    return AugmentConfig(
        **values,
        jpeg=0.0,
        erase=0.0,
        flip=0.5,
        rotate_degrees=20.0,
        shear=0.2,
        shift=0.2,
        scale=0.2,
        spread="uniform",
        each=0.25,
    )


def study_run(name: str, model: ModelConfig, *, batch: int = 50, start: str | None = None) -> TrainConfig:
    """The study's way to train, of any of its networks."""
    return published(
        name,
        model,
        learning_rate=1e-3,
        epochs=90,
        batch=batch,
        optimizer=OptimizerConfig(name="adam"),
        schedule=ScheduleConfig(name="step", milestones=(30 / 90, 60 / 90), factor=0.1),
        augment=study_augmentation(),
        start=start,
        split="80/20",
    )


def ssrnet_age(lambda_local: float = 1.0, lambda_d: float = 1.0) -> ModelConfig:
    """SSR-Net for age: V = 101."""
    options = {"age_range": 101.0, "lambda_local": lambda_local, "lambda_d": lambda_d}
    return ModelConfig(backbone="ssrnet", size=64, age=HeadConfig(name="soft-stagewise", options=options))


def ssrnet_gender(order: tuple[str, str]) -> ModelConfig:
    """SSR-Net for gender: V = 1, near 1 for the second label."""
    return ModelConfig(backbone="ssrnet", size=64, gender=HeadConfig(name="soft-stagewise", options={"order": order}))


def ssrnet_imdb() -> TrainConfig:
    """SSR-Net's age on IMDB, from scratch: the first of the study's chain."""
    return study_run("ssrnet-imdb", ssrnet_age(), batch=128)


def ssrnet_wiki() -> TrainConfig:
    """SSR-Net's age on WIKI, from the weights of ssrnet-imdb."""
    return study_run("ssrnet-wiki", ssrnet_age(), start="runs/ssrnet-imdb")


def ssrnet_morph2() -> TrainConfig:
    """SSR-Net's age on MORPH2, from the weights of ssrnet-wiki; published: MAE 3.16."""
    return study_run("ssrnet-morph2", ssrnet_age(), start="runs/ssrnet-wiki")


def ssrnet_megaage_asian() -> TrainConfig:
    """SSR-Net's age on MegaAge-Asian, with the data set's own split, from scratch (the start is not published)."""
    config = study_run("ssrnet-megaage-asian", ssrnet_age())
    return _with_split(config, "official")


def ssrnet_utkface() -> TrainConfig:
    """SSR-Net's age on UTKFace by the study's way: what its published files can be set beside."""
    return _with_split(study_run("ssrnet-utkface", ssrnet_age()), "hash")


def ssrnet_gender_imdb() -> TrainConfig:
    """SSR-Net's gender on IMDB, from scratch; 1 means male, as IMDB-WIKI codes it."""
    return study_run("ssrnet-gender-imdb", ssrnet_gender(("female", "male")), batch=128)


def ssrnet_gender_wiki() -> TrainConfig:
    """SSR-Net's gender on WIKI, from the weights of ssrnet-gender-imdb."""
    return study_run("ssrnet-gender-wiki", ssrnet_gender(("female", "male")), start="runs/ssrnet-gender-imdb")


def ssrnet_gender_morph2() -> TrainConfig:
    """SSR-Net's gender on MORPH2, from ssrnet-gender-wiki; 1 means female, as in the published file."""
    return study_run("ssrnet-gender-morph2", ssrnet_gender(("male", "female")), start="runs/ssrnet-gender-wiki")


def sweep_run(lambda_local: float, lambda_d: float) -> TrainConfig:
    """One place of the study's sweep over both lambdas, on MORPH2 from scratch."""
    name = f"ssrnet-morph2-local-{lambda_local:g}-d-{lambda_d:g}"
    return study_run(name, ssrnet_age(lambda_local, lambda_d))


SWEEP: dict[str, Callable[[], TrainConfig]] = {
    f"ssrnet-morph2-local-{local:g}-d-{d:g}": partial(sweep_run, local, d) for local in STRENGTHS for d in STRENGTHS
}


def _with_split(config: TrainConfig, split: str) -> TrainConfig:
    return replace(config, split=split)

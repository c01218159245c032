"""The small networks that SSR-Net's study sets beside it: MobileNet v1 and DenseNet, with one number for the age."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from agewise_lab.recipes.ssrnet import study_run
from agewise_lab.training.config import HeadConfig, ModelConfig, TrainConfig

_START = {"imdb": None, "wiki": "imdb", "morph2": "wiki"}


def baseline(backbone: str, data: str) -> TrainConfig:
    """A baseline of SSR-Net's study, trained as SSR-Net is: L1, and each data set from the one before."""
    before = _START[data]
    return study_run(
        f"{backbone}-{data}",
        ModelConfig(backbone=backbone, size=64, age=HeadConfig(name="l1")),
        batch=128 if data == "imdb" else 50,
        start=None if before is None else f"runs/{backbone}-{before}",
    )


BASELINES: dict[str, Callable[[], TrainConfig]] = {
    f"{backbone}-{data}": partial(baseline, backbone, data)
    for backbone in ("mobilenet-0.25", "mobilenet-0.5", "densenet-13", "densenet-19")
    for data in _START
}

"""Every recipe builds, and trains two steps on a tiny database, from its own configuration."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="recipes need the extra lab")
pytest.importorskip("lightning", reason="recipes need the extra lab")

from agewise_lab.architectures.compact import CompactConfig  # noqa: E402
from agewise_lab.recipes import RECIPES, find_recipe  # noqa: E402
from agewise_lab.store.crops import CropStore  # noqa: E402
from agewise_lab.store.split import Split  # noqa: E402
from agewise_lab.training.config import ModelConfig, TrainConfig  # noqa: E402
from agewise_lab.training.networks import make_network  # noqa: E402
from agewise_lab.training.run import train  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:lightning")

# The least side that a network takes; the parts that make the giants quick to build.
SIZES = {"resnet-18": 32, "vgg-16": 32, "wideresnet-16-8": 16}
NARROW: dict[str, dict[str, Any]] = {"vgg-16": {"width": 0.125, "hidden": 32}}
# One of each kind: folds and the places of the sweep differ in numbers only.
KINDS = [
    name
    for name in RECIPES
    if not (name.startswith("ssrnet-morph2-") and name != "ssrnet-morph2-local-0.5-d-0.25")
    and not name.endswith(("fold-1", "fold-2", "fold-3", "fold-4", "-wiki", "-morph2"))
]


def tiny_store(count: int) -> CropStore:
    rng = np.random.default_rng(0)
    return CropStore(
        whole=rng.integers(0, 256, (count, 24, 24, 3), dtype=np.uint8),
        aligned=rng.integers(0, 256, (count, 24, 24, 3), dtype=np.uint8),
        age_years=rng.integers(0, 100, count).astype(np.float32),
        is_female=(rng.random(count) < 0.5).astype(np.float32),
        group=np.zeros(count, dtype=np.int64),
        found=np.ones(count, dtype=bool),
        score=np.ones(count, dtype=np.float32),
        duplicate_group=np.arange(count),
        name=np.array([f"{i}.jpg" for i in range(count)]),
    )


def smaller(config: TrainConfig) -> TrainConfig:
    """The same run with four pictures a step, for two steps, of the smallest size that its network takes."""
    (net,) = config.nets
    model = net.architecture
    if not isinstance(model, ModelConfig):
        if isinstance(model, CompactConfig):
            size = 32
            model = dataclasses.replace(model, size=size)
        else:
            size = 64
            model = dataclasses.replace(model, size=size, blocks=min(model.blocks, 12))  # more need 103 pixels
    else:
        size = SIZES.get(model.backbone, 64)
        model = dataclasses.replace(model, size=size, options={**model.options, **NARROW.get(model.backbone, {})})
    net = dataclasses.replace(net, architecture=model)
    return dataclasses.replace(config, nets=(net,), epochs=1, batch=4, sizes=((1.0, size),), start=None, check_every=1)


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_builds(name: str) -> None:
    for net in find_recipe(name).nets:
        with torch.device("meta"):  # shapes without numbers: the largest would take a gigabyte
            assert sum(weight.numel() for weight in make_network(net.architecture).parameters()) > 10_000


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_recipe_trains(name: str, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    split = Split(np.arange(8), np.arange(8, 12), np.arange(0))
    module = train(smaller(find_recipe(name)), tiny_store(12), split, tmp_path, threads=1, workers=0)
    checkpoint = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert checkpoint["global_step"] == 2
    assert all(torch.isfinite(value).all() for value in module.state_dict().values())
    assert (tmp_path / "best.ckpt").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dex", "resnet-18", "wideresnet-16-8", "lmtcnn-2-1-fold-0"])
def test_the_giants_train_at_their_own_size(name: str, tmp_path: Path) -> None:
    config = dataclasses.replace(find_recipe(name), epochs=1, batch=4)
    split = Split(np.arange(8), np.arange(8, 12), np.arange(0))
    train(config, tiny_store(12), split, tmp_path, threads=1, workers=0)
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["global_step"] == 2

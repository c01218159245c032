"""What a network's parts promise, and the card that comes of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from agewise import decode
from agewise.card import synthetic_crop
from agewise.imaging.normalise import to_network_input
from agewise.types import Gender
from agewise_lab.architectures.compact import CompactNet
from agewise_lab.export.promises import promises_of, years_in_torch
from agewise_lab.export.release import About, first_card, load_net
from agewise_lab.heads.build import build_net
from agewise_lab.training.config import HeadConfig, ModelConfig

ABOUT = About(name="it", version="1", summary="a test", recipe="none", training_data="none", split="none")


@pytest.mark.parametrize(
    ("age", "options", "ages"),
    [
        ("expectation", {"classes": 90}, (0.0, 89.0)),
        ("bins", {}, (0.0, 100.0)),
        ("soft-stagewise", {"age_range": 70.0}, (0.0, 70.0)),
        ("l1", {}, (0.0, 120.0)),
        ("coral", {}, (0.0, 100.0)),
    ],
)
def test_the_card_follows_from_the_heads(age: str, options: dict[str, Any], ages: tuple[float, float]) -> None:
    net = build_net("ssrnet", age=age, gender="binary", age_options=options)
    card = first_card(net, ABOUT)
    assert (card.input.size, card.input.color_order, card.input.scale) == (64, "BGR", 1.0)
    assert card.age == net.age_head.decoding
    assert card.gender is not None
    assert card.gender.order == (Gender.MALE, Gender.FEMALE)
    assert card.validity.age_years[0] == ages[0]
    assert card.validity.age_years[1] == pytest.approx(ages[1], abs=20 if age == "bins" else 0)


def test_a_network_of_age_alone_promises_no_gender() -> None:
    card = first_card(build_net("ssrnet", age="l1"), ABOUT)
    assert card.gender is None
    assert card.golden.probability_female is None


def test_a_network_of_gender_alone_has_no_card() -> None:
    with pytest.raises(ValueError, match="this network has a gender head only"):
        promises_of(build_net("ssrnet", gender="two-way"))


def test_pytorch_answers_as_the_package_decodes(make_net: Callable[..., CompactNet]) -> None:
    crops = np.stack([synthetic_crop(seed, 64) for seed in range(3)])
    torch.manual_seed(5)
    net = build_net("ssrnet", age="expectation").eval()
    values = to_network_input(crops, color_order="BGR", scale=1.0, mean=(0, 0, 0), std=(1, 1, 1))
    with torch.inference_mode():
        outputs = net(torch.from_numpy(values))
    expected = decode.decode_ages({k: v.numpy() for k, v in outputs.items()}, net.age_head.decoding).years
    assert years_in_torch(net, crops) == pytest.approx(expected, abs=1e-3)
    compact = make_net()
    small = np.stack([synthetic_crop(seed, 16) for seed in range(3)])
    with torch.inference_mode():
        logits, _ = compact(torch.from_numpy(small.transpose(0, 3, 1, 2).astype(np.float32) / 255))
    mean = (torch.softmax(logits.double(), 1) @ torch.arange(101, dtype=torch.float64)).numpy()
    assert years_in_torch(compact, small) == pytest.approx(mean, abs=1e-3)


def test_a_checkpoint_gives_back_a_network_by_name(tmp_path: Path) -> None:
    config = ModelConfig(backbone="ssrnet", size=64, age=HeadConfig(name="soft-stagewise"))
    net = build_net("ssrnet", age="soft-stagewise")
    state = {f"nets.it.{key}": value for key, value in net.state_dict().items()} | {"class_ages": torch.zeros(3)}
    torch.save({"state_dict": state}, tmp_path / "last.ckpt")
    loaded = load_net(tmp_path / "last.ckpt", "it", config)
    assert not loaded.training
    assert all(torch.equal(value, loaded.state_dict()[key]) for key, value in net.state_dict().items())

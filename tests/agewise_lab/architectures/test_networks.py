"""Every network with the heads of its system: costs, one step, saving and loading, learning by heart.

Costs are those that the papers or the published files state where they do: Keras counts SSR-Net 40,915, torchvision
ResNet-18 11,689,512 with its last layer of 513,000, and so on.
"""

from __future__ import annotations

import io
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from agewise_lab.architectures.base import AgeGenderNet, InputFormat, standardised
from agewise_lab.architectures.count import count_multiply_adds, count_parameters
from agewise_lab.architectures.registry import ARCHITECTURES, build_backbone
from agewise_lab.heads.build import build_net

# name: parameters, those with the batch norms' statistics, multiply-adds; without heads, at the paper's size
COSTS = {
    "agewise-s": (894_768, 897_456, 35_970_048),
    "agewise-m": (3_572_832, 3_578_208, 141_889_536),
    "ssrnet": (37_932, 38_316, 17_076_384),
    "mobilenet-0.25": (220_804, 226_276, 3_351_552),
    "mobilenet-0.5": (831_444, 842_388, 12_205_568),
    "mobilenet-multitask": (3_206_976, 3_228_864, 644_282_688),
    "densenet-13": (106_472, 108_344, 107_479_552),
    "densenet-19": (237_872, 241_976, 241_931_776),
    "wideresnet-16-8": (10_956_240, 10_963_440, 6_192_562_176),
    "levi-hassner": (8_855_040, 8_855_040, 649_013_248),
    "levi-hassner-bn": (8_855_776, 8_857_248, 649_013_248),
    "lmtcnn-1-1": (7_483_296, 7_485_280, 89_860_192),
    "lmtcnn-2-1": (7_609_504, 7_612_512, 127_495_264),
    "inception-v3": (21_785_568, 21_820_000, 2_908_855_136),
    "resnet-18": (11_176_512, 11_186_112, 1_813_561_344),
    "resnet-34": (21_284_672, 21_301_696, 3_663_249_408),
    "resnet-50": (23_508_032, 23_561_152, 4_087_136_256),
    "vgg-16": (134_260_544, 134_260_544, 15_466_168_320),
}
SMALL: dict[str, dict[str, Any]] = {
    "agewise-s": {"size": 32, "stem": 8, "widths": (8, 16), "depths": (1, 1)},
    "agewise-m": {"size": 32, "stem": 8, "widths": (16, 32), "depths": (1, 1)},
    "ssrnet": {},
    "mobilenet-0.25": {"size": 32},
    "mobilenet-0.5": {"size": 32},
    "mobilenet-multitask": {"size": 32, "alpha": 0.25},
    "densenet-13": {"size": 16, "growth": 6},
    "densenet-19": {"size": 16, "growth": 4},
    "wideresnet-16-8": {"size": 16, "depth": 10, "width": 2},
    "levi-hassner": {"size": 64, "hidden": 32},
    "levi-hassner-bn": {"size": 64, "hidden": 32},
    "lmtcnn-1-1": {"size": 64, "hidden": 32},
    "lmtcnn-2-1": {"size": 64, "hidden": 32},
    "inception-v3": {"size": 75},
    "resnet-18": {"size": 32, "width": 8},
    "resnet-34": {"size": 32, "width": 8},
    "resnet-50": {"size": 32, "width": 8},
    "vgg-16": {"size": 32, "width": 0.125, "hidden": 64},
}
# The heads of each one's system: age, its options, gender, its options.
_ADIENCE: tuple[Any, ...] = ("bins", {}, "two-way", {})
_HIDDEN: tuple[Any, ...] = ("class-bce", {"hidden": 32}, "two-way", {"hidden": 32})
HEADS: dict[str, tuple[Any, ...]] = {
    "agewise-s": ("agewise", {}, "two-way", {}),
    "agewise-m": ("agewise", {}, "two-way", {}),
    "ssrnet": ("soft-stagewise", {}, "soft-stagewise", {}),
    "mobilenet-0.25": ("l1", {"offset": 30.0}, None, {}),
    "mobilenet-0.5": ("l1", {"offset": 30.0}, None, {}),
    "mobilenet-multitask": _ADIENCE,
    "densenet-13": ("l1", {"offset": 30.0}, None, {}),
    "densenet-19": ("l1", {"offset": 30.0}, None, {}),
    "wideresnet-16-8": ("expectation", {"bias": False}, "two-way", {"bias": False}),
    "levi-hassner": _ADIENCE,
    "levi-hassner-bn": _ADIENCE,
    "lmtcnn-1-1": _ADIENCE,
    "lmtcnn-2-1": _ADIENCE,
    "inception-v3": _ADIENCE,
    "resnet-18": _HIDDEN,
    "resnet-34": _HIDDEN,
    "resnet-50": _HIDDEN,
    "vgg-16": ("expectation", {}, None, {}),
}
SLOW = {"inception-v3"}
NAMES = [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in ARCHITECTURES]


def make(name: str) -> AgeGenderNet:
    """A small member of the family with its system's heads."""
    torch.manual_seed(1)
    age, age_options, gender, gender_options = HEADS[name]
    return build_net(
        name,
        age=age,
        gender=gender,
        backbone_options=SMALL[name],
        age_options=age_options,
        gender_options=gender_options,
    )


def faces(net: AgeGenderNet, count: int) -> tuple[Tensor, dict[str, Tensor]]:
    """Images as the network is fed, noise on flat colours, and labels."""
    draw = torch.Generator().manual_seed(count)
    size = net.input.size
    flat = torch.rand(count, 3, 1, 1, generator=draw) * 160
    pixels = (flat + torch.rand(count, 3, size, size, generator=draw) * 95).to(torch.uint8)
    targets = {
        "age": torch.arange(count, dtype=torch.float32) * 60 / count + 10,
        "is_female": (torch.arange(count) % 3 == 0).float(),
    }
    return net.input.normalise(pixels), targets


def loss_of(net: AgeGenderNet, outputs: dict[str, Tensor], targets: dict[str, Tensor]) -> Tensor:
    return torch.stack([head.loss(outputs, targets).mean() for head in net.heads]).sum()


def test_every_network_is_in_every_table() -> None:
    assert set(COSTS) == set(SMALL) == set(HEADS) == set(ARCHITECTURES)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_parameters_and_multiply_adds(name: str) -> None:
    with torch.device("meta"):  # nothing is computed: only shapes
        net = build_backbone(name)
        costs = (
            count_parameters(net),
            count_parameters(net, with_statistics=True),
            count_multiply_adds(net),
        )
    assert costs == COSTS[name]


def test_ssrnet_is_as_large_as_keras_counts() -> None:
    net = build_net("ssrnet", age="soft-stagewise")
    assert count_parameters(net, with_statistics=True) == 40_915
    assert count_parameters(net) == 40_531


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_each_parameter_is_in_one_group(name: str) -> None:
    with torch.device("meta"):
        net = build_backbone(name)
    groups = net.parameter_groups()
    assert set(groups) == {"stem", "trunk"}
    ours = [id(weight) for group in groups.values() for weight in group]
    assert sorted(ours) == sorted(id(weight) for weight in net.parameters())
    assert all(groups.values())


@pytest.mark.parametrize("name", NAMES)
def test_one_step_reaches_every_weight(name: str) -> None:
    net = make(name)
    image, targets = faces(net, 4)
    features = net.backbone(image)
    assert features.shape == (4, net.backbone.feature_count)
    before = {key: value.clone() for key, value in net.named_parameters()}
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-3)
    loss = loss_of(net, net(image), targets)
    assert torch.isfinite(loss)
    loss.backward()
    assert all(weight.grad is not None and torch.isfinite(weight.grad).all() for weight in net.parameters())
    optimizer.step()
    moved = [key for key, value in net.named_parameters() if not torch.equal(value, before[key])]
    assert len(moved) > len(before) * 0.6  # dead units of a small network may keep a few


@pytest.mark.parametrize("name", NAMES)
def test_saved_and_loaded_it_answers_the_same(name: str) -> None:
    net = make(name).eval()
    image, _ = faces(net, 3)
    stream = io.BytesIO()
    torch.save(net.state_dict(), stream)
    stream.seek(0)
    torch.manual_seed(99)
    other = make(name)
    for weight in other.parameters():
        nn.init.normal_(weight)
    other.load_state_dict(torch.load(stream, weights_only=True))
    with torch.inference_mode():
        expected, got = net.served(image), other.eval().served(image)
    assert expected.keys() == got.keys()
    for key, value in expected.items():
        assert torch.equal(value, got[key])
        assert len(value) == 3


_STEPS = {"agewise-s": 80, "agewise-m": 80, "wideresnet-16-8": 20, "resnet-18": 40}
_RATES = {
    "agewise-s": 2e-2,
    "agewise-m": 1e-2,
    "ssrnet": 1e-2,
    "densenet-13": 1e-2,
    "densenet-19": 1e-2,
    "wideresnet-16-8": 1e-2,
    "vgg-16": 1e-3,
    "levi-hassner": 1e-3,
    "levi-hassner-bn": 1e-3,
    "inception-v3": 1e-3,  # at 5e-3 it does not settle within 60 steps
}
_HEART_SLOW = {"inception-v3", "levi-hassner", "levi-hassner-bn", "ssrnet", "resnet-34", "resnet-50"}
_HEART = [pytest.param(name, marks=pytest.mark.slow) if name in _HEART_SLOW else name for name in ARCHITECTURES]


@pytest.mark.parametrize("name", _HEART)
def test_it_learns_32_images_by_heart(name: str) -> None:
    net = make(name)
    for module in net.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    image, targets = faces(net, 32)
    optimizer = torch.optim.Adam(net.parameters(), lr=_RATES.get(name, 5e-3))

    for _ in range(_STEPS.get(name, 60)):
        loss = loss_of(net, net(image), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        outputs = net(image)
        # Who answers the mean of all is wrong by 15; classes of Adience, with their gaps, by 5 at best.
        assert (net.age_head.years(outputs) - targets["age"]).abs().mean() < 6.5
        if net.gender_head is not None and name != "ssrnet":  # whose L1 loss moves gender slowly
            female = net.gender_head.female(outputs) > 0.5
            assert (female == (targets["is_female"] > 0.5)).float().mean() > 0.9


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("resnet-81", {}, "did you mean 'resnet-18'? Known: agewise-s, "),
        ("resnet-18", {"sizes": 3}, "resnet-18: unknown option 'sizes': did you mean 'size'? Known: size, width"),
        ("ssrnet", {"size": 32}, "ssrnet needs an input of at least 64 pixels, got size 32"),
        ("wideresnet-16-8", {"depth": 15}, "6·n + 4, such as 10, 16 or 22, got 15"),
        ("wideresnet-16-8", {"size": 66}, "a multiple of 4, got 66"),
    ],
)
def test_what_cannot_be_built_is_said(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=r".") as error:
        build_backbone(name, **options)
    assert message in str(error.value)


def test_a_network_without_a_head_is_refused() -> None:
    with pytest.raises(ValueError, match="an age head, a gender head, or both"):
        AgeGenderNet(build_backbone("ssrnet"))


def test_tasks_apart_see_trunks_of_their_own() -> None:
    torch.manual_seed(0)
    heads = {"age": "soft-stagewise", "gender": "two-way"}
    net, one = build_net("ssrnet", apart=True, **heads).eval(), build_net("ssrnet", **heads)
    trunk = sum(weight.numel() for weight in one.backbone.parameters())
    assert sum(weight.numel() for weight in net.parameters()) == trunk + sum(w.numel() for w in one.parameters())
    assert net.backbone.parameter_groups().keys() == {"stem", "trunk"}
    assert sum(len(group) for group in net.backbone.parameter_groups().values()) == len(list(net.backbone.parameters()))
    image = torch.rand(2, 3, 64, 64) * 255
    with torch.inference_mode():
        before = net(image)
        for weight in net.backbone.gender.parameters():  # type: ignore[union-attr]
            weight.add_(0.1)
        after = net(image)
    for name, value in before.items():
        assert torch.equal(value, after[name]) == name.startswith("age_")


def test_one_task_cannot_be_apart() -> None:
    with pytest.raises(ValueError, match="ssrnet: tasks are kept apart where there are two; this network has one"):
        build_net("ssrnet", age="soft-stagewise", apart=True)


def test_an_input_format_normalises_as_the_package_does() -> None:
    from agewise.imaging.normalise import to_network_input

    form = InputFormat(size=8, color_order="BGR", scale=0.5, mean=(1.0, 2.0, 3.0), std=(4.0, 5.0, 6.0))
    pixels = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    spec = form.spec()
    expected = to_network_input(
        pixels.permute(0, 2, 3, 1).numpy(),
        color_order=spec.color_order,
        scale=spec.scale,
        mean=spec.mean,
        std=spec.std,
    )
    assert torch.allclose(form.normalise(pixels), torch.from_numpy(expected), atol=1e-5)


def test_standardised_images_and_flat_ones() -> None:
    image = torch.tensor([0.0, 2.0, 4.0, 6.0]).view(1, 1, 2, 2)
    assert torch.allclose(standardised(image).flatten(), torch.tensor([-3.0, -1.0, 1.0, 3.0]) / 5**0.5)
    assert torch.equal(standardised(torch.full((1, 3, 2, 2), 7.0)), torch.zeros(1, 3, 2, 2))

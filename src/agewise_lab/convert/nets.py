"""Published weights → the networks of `agewise_lab.architectures`, layer by layer."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from agewise.types import Gender
from agewise_lab.architectures.base import AgeGenderNet, InputFormat, Outputs
from agewise_lab.architectures.densenet import DenseLayer, DenseNet
from agewise_lab.architectures.mobilenet import MobileNet
from agewise_lab.architectures.ssrnet import SsrNet
from agewise_lab.architectures.wideresnet import Pooling, WideBlock, WideResNet
from agewise_lab.convert.keras_h5 import KerasWeights
from agewise_lab.heads.age import DistributionHead, RegressionHead
from agewise_lab.heads.build import build_net
from agewise_lab.heads.gender import TwoWayHead
from agewise_lab.heads.stagewise import StagewiseGenderHead, StagewiseHead

FEMALE_MALE = (Gender.FEMALE, Gender.MALE)
MALE_FEMALE = (Gender.MALE, Gender.FEMALE)


class SideBySide(nn.Module):
    """A network of age and one of gender that look at the same image.

    Raises:
        ValueError: they are fed differently.
    """

    def __init__(self, age_net: AgeGenderNet, gender_net: AgeGenderNet) -> None:
        super().__init__()
        if age_net.input != gender_net.input:
            raise ValueError(f"both networks must be fed alike, got {age_net.input} and {gender_net.input}")
        self.age_net = age_net
        self.gender_net = gender_net

    @property
    def input(self) -> InputFormat:
        """What both are fed."""
        return self.age_net.input

    @property
    def heads(self) -> tuple[Any, ...]:
        """The age head, the gender head."""
        return (*self.age_net.heads, *self.gender_net.heads)

    def forward(self, image_B3HW: Tensor) -> Outputs:
        """Images → the outputs of both."""
        outputs: Outputs = {**self.age_net(image_B3HW), **self.gender_net(image_B3HW)}
        return outputs

    def served(self, image_B3HW: Tensor) -> Outputs:
        """What the exported file gives."""
        return self.age_net.served(image_B3HW) | self.gender_net.served(image_B3HW)


def _fill_ssrnet(weights: KerasWeights, net: AgeGenderNet, probs_name: str) -> AgeGenderNet:
    """The streams and the stages' layers of an SSR-Net file, whose layers were made in the order of its figure."""
    body, (head,) = net.backbone, net.heads
    assert isinstance(body, SsrNet)
    assert isinstance(head, StagewiseHead | StagewiseGenderHead)
    convs, norms = weights.in_order("conv2d"), weights.in_order("batch_normalization")
    denses = weights.in_order("dense")
    if (len(convs), len(norms), len(denses)) != (14, 8, 9):
        raise ValueError(
            "an SSR-Net of three stages has 14 convolutions, 8 batch norms and 9 dense layers without a name of their "
            f"own; this file has {len(convs)}, {len(norms)} and {len(denses)}"
        )
    streams = [body.x1, body.x2, body.x3, body.x4, body.s1, body.s2, body.s3, body.s4]
    for block, conv, norm in zip(streams, convs, norms, strict=False):
        weights.conv(block[0], conv)
        weights.norm(block[1], norm)
    layers = head.layers
    for k in range(3):
        for maps, conv in ((body.s_maps[k], convs[8 + 2 * k]), (body.x_maps[k], convs[9 + 2 * k])):
            assert isinstance(maps, nn.Sequential)
            weights.conv(maps[0], conv)
        weights.dense(layers.s_mix[k], denses[3 * k], channels=10)
        weights.dense(layers.x_mix[k], denses[3 * k + 1], channels=10)
        weights.dense(layers.joint[k], denses[3 * k + 2])
        weights.dense(layers.delta[k], f"delta_s{k + 1}", channels=10)
        weights.dense(layers.probs[k], f"{probs_name}{k + 1}")
        weights.dense(layers.eta[k], f"local_delta_stage{k + 1}")
    weights.finish()
    return net.eval()


def ssrnet_age(weights: KerasWeights) -> AgeGenderNet:
    """SSR-Net's age network."""
    return _fill_ssrnet(weights, build_net("ssrnet", age="soft-stagewise"), "pred_age_stage")


def ssrnet_gender(weights: KerasWeights, order: tuple[Gender, Gender]) -> AgeGenderNet:
    """SSR-Net's gender network; `order` says what 0 and 1 mean."""
    net = build_net("ssrnet", gender="soft-stagewise", gender_options={"order": order})
    return _fill_ssrnet(weights, net, "pred_stage")


def is_ssrnet_gender(weights: KerasWeights) -> bool:
    """Whether a file is an SSR-Net of gender."""
    return "pred_stage1/kernel" in weights.names


def _fill_number(weights: KerasWeights, net: AgeGenderNet) -> AgeGenderNet:
    """The study's last layer: one number, the age."""
    assert isinstance(net.age_head, RegressionHead)
    weights.dense(net.age_head.layers, "pred_a")
    weights.finish()
    return net.eval()


def mobilenet(weights: KerasWeights, alpha: float) -> AgeGenderNet:
    """A MobileNet baseline of SSR-Net's study."""
    net = build_net(f"mobilenet-{alpha:g}", age="l1")
    body = net.backbone
    assert isinstance(body, MobileNet)
    assert isinstance(body.squeeze, nn.Sequential)
    weights.conv(body.conv1[0], "conv1")
    weights.norm(body.conv1[1], "conv1_bn")
    for i, block in enumerate(body.blocks, start=1):
        assert isinstance(block, nn.Sequential)
        weights.conv(block[0], f"conv_dw_{i}")
        weights.norm(block[1], f"conv_dw_{i}_bn")
        weights.conv(block[3], f"conv_pw_{i}")
        weights.norm(block[4], f"conv_pw_{i}_bn")
    weights.conv(body.squeeze[0], weights.only("conv2d"))
    weights.dense(body.dense[1], "feat_a", channels=20)
    return _fill_number(weights, net)


def densenet(weights: KerasWeights, depth: int) -> AgeGenderNet:
    """A DenseNet baseline of SSR-Net's study."""
    net = build_net(f"densenet-{depth}", age="l1")
    body = net.backbone
    assert isinstance(body, DenseNet)
    convs, norms = iter(weights.in_order("conv2d")), iter(weights.in_order("batch_normalization"))
    try:
        weights.conv(body.conv1, next(convs))
        for module in body.blocks:
            if isinstance(module, DenseLayer):
                weights.norm(module.norm, next(norms))
                weights.conv(module.conv, next(convs))
            elif isinstance(module, nn.BatchNorm2d):
                weights.norm(module, next(norms))
            elif isinstance(module, nn.Conv2d):
                weights.conv(module, next(convs))
    except StopIteration:
        raise ValueError(f"the file has fewer layers than a DenseNet of depth {depth}") from None
    weights.dense(body.dense[0], weights.only("dense"))
    weights.dense(body.dense[3], "feat_a")
    return _fill_number(weights, net)


def _pooling(features: int, width: int, size: int) -> Pooling:
    """How a file's network pools, told by how many features its heads take."""
    sides: dict[Pooling, int] = {"apart": size // 32, "sliding": size // 4 - 7, "same": size // 4}
    for pooling, side in sides.items():
        if features == 64 * width * side * side:
            return pooling
    raise ValueError(f"heads on {features} features fit no way of pooling {64 * width} channels at {size} pixels")


def wideresnet(weights: KerasWeights, order: tuple[Gender, Gender], *, size: int = 64) -> AgeGenderNet:
    """A wide residual network of yu4u's, whatever its depth and width; `order` says what its genders 0 and 1 are."""
    convs, norms = weights.in_order("conv2d"), iter(weights.in_order("batch_normalization"))
    depth = len(convs)  # 6·n + 4 too: one, two a block, three shortcuts
    if depth < 10 or depth % 6 != 4:
        raise ValueError(f"a wide residual network has 6·n + 4 convolutions, this file has {depth}")
    width = weights.shape(f"{convs[1]}/kernel")[-1] // 16
    features, ages = weights.shape("pred_age/kernel")
    net = build_net(
        "wideresnet-16-8",
        age="expectation",
        gender="two-way",
        backbone_options={
            "depth": depth, "width": width, "size": size, "pooling": _pooling(features, width, size)
        },
        age_options={"classes": ages, "bias": False},
        gender_options={"bias": False},
    )  # fmt: skip
    body, age, gender = net.backbone, net.age_head, net.gender_head
    assert isinstance(body, WideResNet)
    assert isinstance(age, DistributionHead)
    assert isinstance(gender, TwoWayHead)
    next_conv = iter(convs)
    weights.conv(body.conv1, next(next_conv))
    for block in (*body.stage1, *body.stage2, *body.stage3):
        assert isinstance(block, WideBlock)
        weights.norm(block.norm1, next(norms))
        weights.conv(block.conv1, next(next_conv))
        weights.norm(block.norm2, next(norms))
        weights.conv(block.conv2, next(next_conv))
        if block.shortcut is not None:
            weights.conv(block.shortcut, next(next_conv))
    weights.norm(body.norm, next(norms))
    weights.dense(age.layers, "pred_age", channels=64 * width)
    weights.dense(gender.layers, "pred_gender", channels=64 * width)
    if order == MALE_FEMALE:  # the head has female first
        assert isinstance(gender.layers, nn.Linear)
        gender.layers.weight.data = gender.layers.weight.data.flip(0).contiguous()
    weights.finish()
    return net.eval()

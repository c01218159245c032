"""Layers that several networks share."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

KERAS_EPSILON = 1e-3
"""Of Keras' batch norm; PyTorch's own is 1e-5."""

KERAS_MOMENTUM = 0.01
"""Keras' 0.99 as PyTorch counts it: the share of the new batch."""


def keras_norm(channels: int, epsilon: float = KERAS_EPSILON) -> nn.BatchNorm2d:
    """A batch norm as Keras has it."""
    return nn.BatchNorm2d(channels, eps=epsilon, momentum=KERAS_MOMENTUM)


class SameConv2d(nn.Conv2d):
    """A convolution with TensorFlow's padding "same": as many outputs as ⌈inputs / stride⌉.

    What must be padded is split evenly; an odd pixel goes to the right and to the bottom. With stride 2 and an even
    side, a 3×3 filter thus gets (0, 1), where PyTorch's padding=1 gives (1, 1) and reads other pixels.
    """

    def forward(self, x_BCHW: Tensor) -> Tensor:
        pads: list[int] = []
        for side, kernel, stride in zip(x_BCHW.shape[:1:-1], self.kernel_size[::-1], self.stride[::-1], strict=True):
            total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
            pads += [total // 2, total - total // 2]
        return super().forward(functional.pad(x_BCHW, pads) if any(pads) else x_BCHW)


def conv_norm_relu(
    inputs: int, outputs: int, kernel: int, *, stride: int = 1, padding: int = 0, groups: int = 1, epsilon: float = 1e-5
) -> nn.Sequential:
    """A convolution without bias, a batch norm, a ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=padding, groups=groups, bias=False),
        nn.BatchNorm2d(outputs, eps=epsilon),
        nn.ReLU(),
    )


def pooled_side(side: int, kernel: int, stride: int) -> int:
    """How many positions a window has along a side without padding.

    >>> pooled_side(227, 7, 4)
    56
    """
    return (side - kernel) // stride + 1


def require_size(name: str, size: int, least: int) -> None:
    """Refuse an input that vanishes on its way through a network.

    Raises:
        ValueError: `size` is below `least`.
    """
    if size < least:
        raise ValueError(f"{name} needs an input of at least {least} pixels, got size {size}")

"""What a network costs: parameters and multiply-adds."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from agewise_lab.architectures.base import InputFormat


def count_parameters(net: nn.Module, *, with_statistics: bool = False) -> int:
    """Numbers that are learned; with the batch norms' running means and variances, as Keras counts them.

    >>> count_parameters(nn.BatchNorm2d(4)), count_parameters(nn.BatchNorm2d(4), with_statistics=True)
    (8, 16)
    """
    total = sum(weight.numel() for weight in net.parameters())
    if with_statistics:
        total += sum(value.numel() for name, value in net.named_buffers() if name.endswith(("_mean", "_var")))
    return total


def count_multiply_adds(net: nn.Module, size: int | None = None) -> int:
    """Of convolutions and dense layers, for one image: each output needs one a weight of its filter.

    Args:
        net: takes (n, 3, size, size).
        size: side in pixels; by default the network's own `input.size`.

    >>> count_multiply_adds(nn.Conv2d(3, 8, 3, padding=1), 10)
    21600
    """
    if size is None:
        input_format = net.input
        assert isinstance(input_format, InputFormat)
        size = input_format.size
    total = 0

    def count(module: nn.Module, _: object, output: Tensor) -> None:
        nonlocal total
        assert isinstance(module.weight, Tensor)
        total += output.numel() * module.weight[0].numel()

    hooks = [m.register_forward_hook(count) for m in net.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    training = net.training
    try:
        with torch.inference_mode():
            net.eval()(torch.zeros(1, 3, size, size))
    finally:
        net.train(training)
        for hook in hooks:
            hook.remove()
    return total

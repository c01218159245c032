"""Weights that Keras saved as HDF5: read by h5py, without TensorFlow and without running anything of the file.

Two layouts exist: a file of weights alone has its layers at the root; a whole model has them in the group
`model_weights`, beside its optimiser's state, which is not read. A layer that is itself a model holds the weights of
all its layers. Names are those of the weights, without ":0".
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt
import torch
from torch import nn

FloatArray = npt.NDArray[np.float32]


def read_weights(path: Path) -> dict[str, FloatArray]:
    """All weights of a file by name, such as "conv2d_1/kernel".

    Raises:
        FileNotFoundError: no such file.
        ValueError: not HDF5, not Keras', or two weights of one name.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no file at {path}")
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise ValueError(f"{path} is no HDF5 file, or is cut short: {error}") from error
    with file:
        root = file.get("model_weights", file)
        if not isinstance(root, h5py.Group) or not _names(root, "layer_names"):
            raise ValueError(f"{path} holds no weights as Keras saves them: expected the attribute layer_names")
        weights: dict[str, FloatArray] = {}
        for layer in _names(root, "layer_names"):
            group = root[layer]
            for name in _names(group, "weight_names"):
                key = name.removesuffix(":0")
                if key in weights:
                    raise ValueError(f"{path} has two weights named {key}")
                weights[key] = np.asarray(group[name], dtype=np.float32)
    return weights


def _names(group: h5py.Group, key: str) -> list[str]:
    """A list of names among the attributes; a long one is cut into `key`0, `key`1, and so on."""
    parts = [key] if key in group.attrs else []
    while f"{key}{len(parts)}" in group.attrs and key not in group.attrs:
        parts.append(f"{key}{len(parts)}")
    return [
        name.decode() if isinstance(name, bytes) else str(name)
        for part in parts
        for name in np.ravel(group.attrs[part])
    ]


class KerasWeights:
    """The weights of a file, given to layers one by one; at the end none may be left over.

    Args:
        weights: by name, as `read_weights` gives them.
        file: what messages call the file.
    """

    def __init__(self, weights: dict[str, FloatArray], file: str) -> None:
        self._weights = dict(weights)
        self._file = file

    @property
    def names(self) -> list[str]:
        """Of the weights that are left."""
        return list(self._weights)

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a weight.

        Raises:
            ValueError: no such weight.
        """
        if name not in self._weights:
            raise ValueError(f"{self._file} has no weight {name}: is it this network's?")
        return self._weights[name].shape

    def in_order(self, kind: str) -> list[str]:
        """The layers named `kind`, `kind`_1, `kind`_2, … in that order: the order in which Keras made them."""
        found = {name.rsplit("/", 1)[0] for name in self._weights}
        numbered = [(match, name) for name in found if (match := re.fullmatch(rf"{kind}(?:_(\d+))?", name))]
        return [name for _, name in sorted((int(match[1] or 0), name) for match, name in numbered)]

    def only(self, kind: str) -> str:
        """The one layer named `kind` or `kind`_1 and so on.

        Raises:
            ValueError: none, or several.
        """
        layers = self.in_order(kind)
        if len(layers) != 1:
            raise ValueError(f"{self._file}: this network has one layer left that is named {kind}, the file {layers}")
        return layers[0]

    def _take(self, layer: str, part: str, shape: Iterable[int]) -> torch.Tensor:
        name = f"{layer}/{part}"
        if name not in self._weights:
            near = ", ".join(sorted(self._weights)[:5]) or "none"
            raise ValueError(f"{self._file} has no weight {name}: is it this network's? Left are {near}, …")
        array = self._weights.pop(name)
        if array.shape != tuple(shape):
            raise ValueError(f"{self._file}: {name} has the shape {array.shape}, this network needs {tuple(shape)}")
        return torch.from_numpy(np.ascontiguousarray(array))

    def conv(self, module: nn.Module, layer: str) -> None:
        """A convolution: Keras' (h, w, in, out) → PyTorch's (out, in, h, w). A depthwise one is (h, w, channels, 1)."""
        assert isinstance(module, nn.Conv2d)
        out, per_group, high, wide = module.weight.shape
        with torch.no_grad():
            if module.groups > 1:
                kernel = self._take(layer, "depthwise_kernel", (high, wide, out, 1)).permute(2, 3, 0, 1)
            else:
                kernel = self._take(layer, "kernel", (high, wide, per_group, out)).permute(3, 2, 0, 1)
            module.weight.copy_(kernel)
            if module.bias is not None:
                module.bias.copy_(self._take(layer, "bias", (out,)))

    def norm(self, module: nn.Module, layer: str) -> None:
        """A batch norm, with its running mean and variance."""
        assert isinstance(module, nn.BatchNorm2d)
        assert module.running_mean is not None
        assert module.running_var is not None
        count = (module.num_features,)
        with torch.no_grad():
            module.weight.copy_(self._take(layer, "gamma", count))
            module.bias.copy_(self._take(layer, "beta", count))
            module.running_mean.copy_(self._take(layer, "moving_mean", count))
            module.running_var.copy_(self._take(layer, "moving_variance", count))

    def dense(self, module: nn.Module, layer: str, *, channels: int | None = None) -> None:
        """A dense layer: (in, out) → (out, in).

        Args:
            module: of the network.
            layer: of the file.
            channels: where the input is a flattened map of so many channels: Keras flattens (h, w, channels), PyTorch
                (channels, h, w).
        """
        assert isinstance(module, nn.Linear)
        kernel = self._take(layer, "kernel", (module.in_features, module.out_features)).T
        if channels is not None:
            kernel = kernel.reshape(module.out_features, -1, channels).transpose(1, 2).flatten(1)
        with torch.no_grad():
            module.weight.copy_(kernel)
            if module.bias is not None:
                module.bias.copy_(self._take(layer, "bias", (module.out_features,)))

    def finish(self) -> None:
        """Say so if the file holds more than the network took.

        Raises:
            ValueError: weights are left over.
        """
        if self._weights:
            raise ValueError(
                f"{self._file} holds more than this network: {', '.join(sorted(self._weights)[:5])} "
                f"({len(self._weights)} weights): name the network that it is of"
            )

"""dlib's face recognition weights, read from its own file without dlib and without running anything of it.

dlib writes a network from its first layer to its last, each as its kind's name, its parameters and its settings. The
parameters are a tensor: the number 2 (the format's version), four sides as integers (a byte that counts the bytes that
follow, then these, the lowest first), and the values as little-endian float32. All else is skipped; the tensors and
their sizes must be the network's.

The file is in the distribution `face_recognition_models` (agewise's extra `dlib`), in the public domain (CC0).
"""

from __future__ import annotations

import importlib.metadata
import math
import re
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from agewise_lab.architectures.recognition import RecognitionTrunk

FloatArray = npt.NDArray[np.float32]

_STEM = "dlib_face_recognition_resnet_model_v1"
_LAYER = re.compile(rb"con_4|affine_|fc_2")  # as dlib writes the names of layers that have parameters


def recognition_file() -> Path:
    """The path of dlib's weights in the installed distribution.

    Raises:
        FileNotFoundError: it is not installed.
    """
    try:
        files = importlib.metadata.distribution("face_recognition_models").files or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.stem == _STEM:
            return Path(str(file.locate()))
    raise FileNotFoundError(f"no {_STEM}.dat: pip install 'agewise[dlib]' brings it, or give its path")


def _integer(data: bytes, at: int) -> tuple[int, int] | None:
    """A positive integer and where it ends, or nothing where none stands.

    >>> _integer(bytes([2, 0x10, 1, 7]), 0)
    (272, 3)
    """
    count = data[at] if at < len(data) else 0
    if not 1 <= count <= 8 or at + 1 + count > len(data):
        return None
    return int.from_bytes(data[at + 1 : at + 1 + count], "little"), at + 1 + count


def _parameters(data: bytes, layer: re.Match[bytes]) -> FloatArray | None:
    """The tensor that follows a layer's name, or nothing."""
    numbers, at = [], layer.end()
    for _ in range(7 if layer[0] == b"fc_2" else 5):  # a dense layer states its outputs and inputs first
        found = _integer(data, at)
        if found is None:
            return None
        numbers.append(found[0])
        at = found[1]
    version, *sides = numbers[-5:]
    count = math.prod(sides)
    if version != 2 or at + 4 * count > len(data):
        return None
    return np.frombuffer(data, "<f4", count, at)


def read_trunk(path: Path) -> tuple[RecognitionTrunk, FloatArray]:
    """dlib's convolutions, scales and shifts folded into them, and the matrix (256, 128) that makes its descriptor.

    Raises:
        FileNotFoundError: no such file.
        ValueError: another network's file, or one cut short.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no file at {path}")
    data = path.read_bytes()
    found = [_parameters(data, layer) for layer in _LAYER.finditer(data)]
    trunk = RecognitionTrunk()
    convolutions = trunk.convolutions()
    expected = [n for conv in convolutions for n in (conv.weight.numel() + conv.out_channels, 2 * conv.out_channels)]
    expected.append(256 * 128)
    tensors = [tensor for tensor in found if tensor is not None]
    if [tensor.size for tensor in tensors] != expected:
        raise ValueError(
            f"{path} does not hold dlib's face recognition network, or not all of it: expected {len(expected)} "
            f"tensors of its sizes, found {len(tensors)}"
        )
    with torch.no_grad():
        for conv, kernel, affine in zip(convolutions, tensors[0::2], tensors[1::2], strict=False):
            count = conv.out_channels
            scale, shift = torch.tensor(affine[:count]), torch.tensor(affine[count:])
            weight, bias = torch.tensor(kernel[:-count]), torch.tensor(kernel[-count:])
            assert conv.bias is not None
            conv.weight.copy_(weight.reshape(conv.weight.shape) * scale.view(-1, 1, 1, 1))
            conv.bias.copy_(bias * scale + shift)
    return trunk, tensors[-1].reshape(256, 128)

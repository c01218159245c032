"""OpenCV's own FaceDetectorYN, on a network that is made here.

No YuNet model lies in this repository, and none was run. The network made here has YuNet's input and its twelve
outputs, in their names and shapes, and its answers can be worked out by hand: what runs is OpenCV's reading of
the file, its padding, decoding and suppression, and what `YunetDetector` makes of them.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agewise.detect import make_detector
from agewise.errors import DetectorError
from agewise.types import UInt8Array

STRIDES = (8, 16, 32)
# What the network says of each cell, in cells: a box's centre, the logarithm of its sides, five points.
OFFSETS = (0.5, 0.25, math.log(3.0), math.log(4.0))
POINTS = (-0.5, -0.75, 1.5, -0.5, 0.5, 0.25, -0.25, 1.25, 1.25, 1.5)


def heads_of(stride: int, helper: Any, numpy_helper: Any) -> tuple[list[Any], list[Any]]:
    """Nodes and weights of the four outputs of one stride.

    «cls» is how red a cell is: the mean of channel 2, as OpenCV gives BGR, over 255; at the finest stride only.
    """
    red = np.zeros((1, 3, stride, stride), dtype=np.float32)
    if stride == STRIDES[0]:
        red[0, 2] = 1 / (255 * stride**2)
    plain = {"cls": (red, (0.0,)), "obj": (0 * red, (1.0,))}
    heads = plain | {
        name: (np.zeros((len(says), 3, stride, stride), dtype=np.float32), says)
        for name, says in {"bbox": OFFSETS, "kps": POINTS}.items()
    }
    nodes: list[Any] = []
    weights: list[Any] = []
    for name, (kernel, bias) in heads.items():
        out = f"{name}_{stride}"
        arrays = {
            "kernel": kernel,
            "bias": np.array(bias, dtype=np.float32),
            "shape": np.array([1, -1, len(bias)], dtype=np.int64),
        }
        weights += [numpy_helper.from_array(array, f"{out}_{key}") for key, array in arrays.items()]
        inputs = ["input", f"{out}_kernel", f"{out}_bias"]
        nodes += [
            helper.make_node("Conv", inputs, [f"{out}_maps"], kernel_shape=[stride] * 2, strides=[stride] * 2),
            helper.make_node("Transpose", [f"{out}_maps"], [f"{out}_last"], perm=[0, 2, 3, 1]),
            helper.make_node("Reshape", [f"{out}_last", f"{out}_shape"], [out]),
        ]
    return nodes, weights


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The path of the network: float32 (1, 3, 640, 640) BGR, 0 to 255, as YuNet's file of March 2023 declares it."""
    onnx = pytest.importorskip("onnx", reason="the network is made with onnx, of the extra lab")
    helper, number = onnx.helper, onnx.TensorProto.FLOAT
    nodes: list[Any] = []
    weights: list[Any] = []
    for stride in STRIDES:
        more_nodes, more_weights = heads_of(stride, helper, onnx.numpy_helper)
        nodes += more_nodes
        weights += more_weights
    outputs = [
        helper.make_tensor_value_info(f"{name}_{stride}", number, [1, (640 // stride) ** 2, values])
        for name, values in {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}.items()
        for stride in STRIDES
    ]
    picture = helper.make_tensor_value_info("input", number, [1, 3, 640, 640])
    graph = helper.make_graph(nodes, "planned", [picture], outputs, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6)
    onnx.checker.check_model(model)
    path = tmp_path_factory.mktemp("yunet") / "face_detection_yunet_planned.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def picture(height: int, width: int, *cells: tuple[int, int, tuple[int, int, int]]) -> UInt8Array:
    """Black, with some cells of 8×8 pixels (row, column) in a colour (R, G, B)."""
    image = np.zeros((height, width, 3), dtype=np.uint8)
    for row, column, colour in cells:
        image[8 * row : 8 * row + 8, 8 * column : 8 * column + 8] = colour
    return image


# Neither side is a multiple of 32: OpenCV pads both, and cells are counted in the padded picture.
@pytest.mark.parametrize(("height", "width"), [(70, 100), (100, 70), (64, 96)])
def test_a_face_is_found_where_the_network_puts_it(network: Path, height: int, width: int) -> None:
    """Row 3, column 5, so the centre is at 8·(5.5, 3.25) = (44, 26), and the box is 24 wide and 32 high."""
    detector = make_detector(f"yunet:{network}")
    (face,) = detector.detect(picture(height, width, (3, 5, (204, 0, 0))))
    assert face.box_xyxy == pytest.approx((32.0, 10.0, 56.0, 42.0), abs=1e-3)
    assert face.score == pytest.approx(math.sqrt(204 / 255), abs=1e-5)
    assert face.landmarks_xy is not None
    expected = 8 * (np.array(POINTS).reshape(5, 2) + np.array([5.0, 3.0]))
    assert np.abs(face.landmarks_xy - expected).max() < 1e-3


def test_what_is_not_red_is_no_face(network: Path) -> None:
    """The picture goes in as BGR: blue in its place would be taken for red. And .79 is below the threshold of .8."""
    detector = make_detector(f"yunet:{network}")
    faint = math.floor(255 * 0.79**2)
    assert detector.detect(picture(70, 100, (3, 5, (0, 0, 255)), (5, 9, (0, 255, 0)), (1, 2, (faint, 0, 0)))) == []


def test_the_surest_comes_first_and_neighbours_are_one_face(network: Path) -> None:
    detector = make_detector(f"yunet:{network}")
    image = picture(100, 200, (3, 5, (190, 0, 0)), (3, 6, (180, 0, 0)), (8, 18, (250, 0, 0)))
    faces = detector.detect(image)
    assert [face.score for face in faces] == pytest.approx([math.sqrt(250 / 255), math.sqrt(190 / 255)], abs=1e-5)
    assert faces[0].box_xyxy == pytest.approx((136.0, 50.0, 160.0, 82.0), abs=1e-3)


def test_one_detector_takes_pictures_of_all_sizes(network: Path) -> None:
    detector = make_detector(f"yunet:{network}")
    for height, width in [(70, 100), (200, 40), (1, 1), (500, 640)]:
        image = picture(height, width, *([(3, 2, (255, 0, 0))] if height > 1 else []))
        boxes = [face.box_xyxy for face in detector.detect(image)]
        assert boxes == ([pytest.approx((8.0, 10.0, 32.0, 42.0), abs=1e-3)] if height > 1 else [])


@pytest.mark.parametrize(("min_face", "count"), [(24, 1), (25, 0)])
def test_the_smaller_side_counts(network: Path, min_face: int, count: int) -> None:
    detector = make_detector(f"yunet:{network}", min_face=min_face)
    assert len(detector.detect(picture(70, 100, (3, 5, (255, 0, 0))))) == count


def test_a_network_with_other_outputs_is_refused(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="the network is made with onnx, of the extra lab")
    helper, number = onnx.helper, onnx.TensorProto.FLOAT
    ends = [helper.make_tensor_value_info(name, number, [1, 3, 640, 640]) for name in ("input", "out")]
    graph = helper.make_graph([helper.make_node("Relu", ["input"], ["out"])], "other", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6)
    path = tmp_path / "other.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(DetectorError, match=r"YuNet failed on a picture of 100x70|cannot load .* as a YuNet model"):
        make_detector(f"yunet:{path}").detect(picture(70, 100))

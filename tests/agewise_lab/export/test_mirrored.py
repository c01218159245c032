"""A file that is also asked of mirror images: the mean of both answers, its card, and files that cannot be asked."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
import torch

from agewise.engine import OnnxEngine
from agewise.estimate import Estimator
from agewise.store import find_model
from agewise_lab.export import measured as measured_module
from agewise_lab.export.mirrored import mirror, mirrored, mirrored_card
from agewise_lab.export.onnx_model import to_onnx
from agewise_lab.heads.build import build_net


def _network(name: str) -> onnx.ModelProto:
    return onnx.load_from_string(find_model(name).data)


def _answers(model: onnx.ModelProto, images: np.ndarray) -> dict[str, np.ndarray]:
    (image,) = model.graph.input
    return dict(OnnxEngine(model.SerializeToString()).run({image.name: images}))


def _stages() -> onnx.ModelProto:
    """SSR-Net: ten outputs, of which one age and one gender are made after."""
    torch.manual_seed(4)
    return to_onnx(build_net("ssrnet", age="soft-stagewise", gender="two-way").eval())


@pytest.mark.parametrize("name", ["agewise-s", "agewise-m", "stages"])
@pytest.mark.parametrize("count", [1, 3])
def test_outputs_are_the_mean_of_both_answers(name: str, count: int) -> None:
    model = _stages() if name == "stages" else _network(name)
    size = model.graph.input[0].type.tensor_type.shape.dim[2].dim_value
    most = 255 if name == "stages" else 1
    images = np.random.default_rng(3).uniform(0, most, (count, 3, size, size)).astype(np.float32)
    new = _answers(mirrored(model), images)
    plain, turned = _answers(model, images), _answers(model, np.ascontiguousarray(images[:, :, :, ::-1]))
    assert new.keys() == plain.keys()
    for key, value in new.items():
        assert np.allclose(value, (plain[key] + turned[key]) / 2, atol=1e-5), key
    assert any(not np.allclose(plain[key], turned[key], atol=1e-4) for key in plain)


def test_agewise_ssr_gives_a_face_and_its_mirror_image_one_answer() -> None:
    crops = np.random.default_rng(0).integers(60, 200, (4, 64, 64, 3), dtype=np.uint8)
    turned = np.ascontiguousarray(crops[:, :, ::-1])
    (ages, female), (others, other_female) = (Estimator("agewise-ssr").run(seen) for seen in (crops, turned))
    assert np.allclose(ages.years, others.years, atol=1e-3)
    assert female == pytest.approx(other_female, abs=1e-4)
    assert np.ptp(ages.years) > 0.01


def test_weights_are_stored_once_and_the_first_file_stays() -> None:
    model = _network("agewise-s")
    before = model.SerializeToString()
    new = mirrored(model)
    assert model.SerializeToString() == before
    assert new.ByteSize() < model.ByteSize() + 2000
    assert [value.name for value in new.graph.output] == [value.name for value in model.graph.output]


def test_a_file_that_is_asked_of_mirror_images_already() -> None:
    with pytest.raises(ValueError, match="asked of the mirror image already: nothing to add"):
        mirrored(mirrored(_network("agewise-s")))
    with pytest.raises(ValueError, match="asked of the mirror image already"):  # by its first file
        mirrored(_network("agewise-ssr"))


def test_files_that_it_cannot_read() -> None:
    flat = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n", 4])
    same = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["n", 4])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Identity", ["x"], ["y"])], "flat", [flat], [same])
    with pytest.raises(ValueError, match=r"expected one input of four dimensions .* got \[\('x', 2\)\], opset 18"):
        mirrored(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)]))
    old = _network("agewise-s")
    old.opset_import[0].version = 17
    with pytest.raises(ValueError, match="opset 18 or later, got .*, opset 17"):
        mirrored(old)


def test_the_card_says_so() -> None:
    card = Estimator("agewise-s").card
    new = mirrored_card(card, name="other", version="9.0.0")
    assert (new.name, new.version) == ("other", "9.0.0")
    assert new.summary == f"{card.summary} The mean of the answers for a face and its mirror image."
    assert (new.age, new.recipe) == (card.age, card.recipe)


def test_the_file_is_measured_and_a_face_and_its_mirror_image_get_one_age(
    tmp_path: Path, pictures: SimpleNamespace, store_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measured_module, "_DEGRADED", 1)
    monkeypatch.setattr(measured_module, "_LEAST_HALF", 10)
    output = tmp_path / "new.onnx"
    assert mirror("agewise-s", store_folder, pictures.root, output, version="9.0.0", final=False) == output
    new, old = Estimator(output), Estimator("agewise-s")
    assert (new.card.name, new.card.version) == (old.card.name, "9.0.0")
    assert new.card.calibration is not None
    assert new.card.calibration.faces == 25
    size = new.card.input.size
    crops = np.random.default_rng(0).integers(60, 200, (4, size, size, 3), dtype=np.uint8)
    turned = np.ascontiguousarray(crops[:, :, ::-1])
    assert np.allclose(new.run(crops)[0].mean_years, new.run(turned)[0].mean_years, atol=1e-3)
    one, other = (old.run(seen)[0].mean_years for seen in (crops, turned))
    assert np.allclose(new.run(crops)[0].mean_years, (one + other) / 2, atol=1e-3)
    assert np.abs(one - other).max() > 0.1

"""The age of one file and the gender of another in one: the same answers, and files that do not fit together."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
import torch

from agewise.card import ModelCard
from agewise.engine import OnnxEngine
from agewise.estimate import Estimator
from agewise.imaging.crop import CropSpec
from agewise_lab.export import joined as joined_module
from agewise_lab.export import measured as measured_module
from agewise_lab.export.joined import join, joined, joined_card
from agewise_lab.export.onnx_model import store_as_float16, to_onnx
from agewise_lab.heads.build import build_net


def _networks() -> list[onnx.ModelProto]:
    torch.manual_seed(4)
    heads = {"age": "soft-stagewise", "gender": "two-way"}
    return [to_onnx(build_net("ssrnet", **heads).eval()) for _ in range(2)]


def _answers(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    image = np.random.default_rng(0).uniform(0, 255, (3, 3, 64, 64)).astype(np.float32)
    return dict(OnnxEngine(model.SerializeToString()).run({"image": image}))


def test_each_output_is_that_of_its_own_network() -> None:
    age, gender = _networks()
    both = joined(age, gender, "gender_logits", "gender_logits")
    ages, genders, answers = (_answers(model) for model in (age, gender, both))
    assert answers.keys() == ages.keys()
    for name, value in answers.items():
        assert np.allclose(value, (genders if name == "gender_logits" else ages)[name], atol=1e-6), name
    assert not np.allclose(answers["gender_logits"], ages["gender_logits"], atol=1e-3)
    # of the second network the trunk and one dense layer are there, of the first all but that layer
    assert len(both.graph.node) < 2 * len(age.graph.node) - 20
    assert both.ByteSize() < 2 * age.ByteSize() - 10_000


def test_networks_whose_names_clash() -> None:
    age, gender = _networks()
    with pytest.raises(ValueError, match=r"names of inputs must be one and of outputs not: image, .*gender_logits"):
        joined(age, gender, None, "gender_logits")


@pytest.mark.parametrize(
    ("gender", "message"),
    [
        ({"gender": None}, r"agewise-ssr 1\.2\.3 gives no gender to take"),
        ({"input": {"size": 80}}, "the two files must have one input; they have .*size=64.* and .*size=80"),
        ({"crop": CropSpec(kind="box", margin=0.4)}, "the two files must have one crop"),
    ],
)
def test_files_that_do_not_fit_together(gender: dict[str, object], message: str) -> None:
    card = Estimator("agewise-ssr").card
    parts = {
        name: card.input.model_copy(update=value) if isinstance(value, dict) else value
        for name, value in gender.items()
    }
    with pytest.raises(ValueError, match=message):
        joined_card(card, card.model_copy(update={"version": "1.2.3", **parts}), name="x", version="1")


def test_the_card_names_both() -> None:
    card = Estimator("agewise-ssr").card
    learned = f"{card.training_data}; taught by a network begun as x"
    other = card.model_copy(update={"recipe": "agewise-ssr-taught", "training_data": learned})
    both = joined_card(card, other, name="agewise-ssr", version="9.0.0")
    assert (both.recipe, both.version) == (f"{card.recipe} + agewise-ssr-taught", "9.0.0")
    assert both.training_data == learned
    assert both.summary.endswith(f"Age of agewise-ssr {card.version}, gender of a run of agewise-ssr-taught.")
    assert both.age == card.age


@pytest.fixture(scope="module")
def written(
    tmp_path_factory: pytest.TempPathFactory, pictures: SimpleNamespace, store_folder: Path
) -> tuple[Path, ModelCard]:
    output = tmp_path_factory.mktemp("joined") / "new.onnx"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measured_module, "_DEGRADED", 1)
        patch.setattr(measured_module, "_LEAST_HALF", 10)
        join(
            *("agewise-ssr", "agewise-ssr", store_folder, pictures.root, output),
            name="twice",
            version="1.0.1",
            final=False,
        )
    return output, Estimator(output).card


def test_the_file_is_measured_and_answers_as_its_parts(written: tuple[Path, ModelCard]) -> None:
    path, card = written
    assert (card.name, card.version) == ("twice", "1.0.1")
    assert card.calibration is not None
    assert card.calibration.faces == 25
    assert path.stat().st_size < 350_000
    crops = np.random.default_rng(0).integers(60, 200, (4, 64, 64, 3), dtype=np.uint8)
    new, old = Estimator(path).run(crops), Estimator("agewise-ssr").run(crops)
    assert np.allclose(new[0].mean_years, old[0].mean_years, atol=0.05)
    kinds = {value.data_type for value in onnx.load(path).graph.initializer}
    assert onnx.TensorProto.FLOAT16 in kinds


def test_ages_that_the_join_changes_are_refused(
    tmp_path: Path, pictures: SimpleNamespace, store_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoilt(model: onnx.ModelProto) -> onnx.ModelProto:
        changed = store_as_float16(model)
        for value in changed.graph.initializer:
            if value.data_type == onnx.TensorProto.FLOAT16:
                array = onnx.numpy_helper.to_array(value)
                value.CopyFrom(onnx.numpy_helper.from_array((array * 1.05).astype(array.dtype), value.name))
        return changed

    monkeypatch.setattr(measured_module, "_DEGRADED", 1)
    monkeypatch.setattr(joined_module, "store_as_float16", spoilt)
    output = tmp_path / "new.onnx"
    with pytest.raises(ValueError, match=r"joining has changed ages by up to .* years: the file is not written"):
        join(
            *("agewise-ssr", "agewise-ssr", store_folder, pictures.root, output),
            name="twice",
            version="1.0.1",
            final=False,
        )
    assert not output.exists()

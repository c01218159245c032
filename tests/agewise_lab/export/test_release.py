"""From a network or a run to the file that ships, and what must not ship."""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from agewise.card import ModelCard
from agewise.engine import OnnxEngine
from agewise.errors import GoldenCheckError
from agewise.estimate import Estimator
from agewise.store.models import EmbeddedFile
from agewise.types import Gender
from agewise_lab.architectures.compact import CompactConfig, CompactNet
from agewise_lab.datasets.record import Record
from agewise_lab.datasets.utkface import read_records
from agewise_lab.export import measured as measured_module
from agewise_lab.export import release as release_module
from agewise_lab.export.adjust import adjusted, log_prior
from agewise_lab.export.between import between
from agewise_lab.export.onnx_model import ServedNet, to_onnx
from agewise_lab.export.release import About, face_crops, first_card, largest_difference, load_net, release, release_run
from agewise_lab.heads.build import build_net
from agewise_lab.store.crops import open_store
from agewise_lab.store.split import agreed_ages, hash_split
from agewise_lab.training.config import TrainConfig
from agewise_lab.training.run import train

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:lightning")

ABOUT = About(name="tiny", version="0.1", summary="a test", recipe="tiny", training_data="none", split="5p117")


@pytest.fixture(scope="module")
def net(make_net: Callable[..., CompactNet]) -> CompactNet:
    return make_net()


@pytest.fixture(scope="module", autouse=True)
def export_once(net: CompactNet) -> Iterator[None]:
    """Exporting takes seconds: `net` is exported once for all tests. One face's degraded copies are enough, too."""
    exported = to_onnx(net)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measured_module, "_DEGRADED", 1)
        patch.setattr(release_module, "to_onnx", lambda other: exported if other is net else to_onnx(other))
        yield


def _records(pictures: SimpleNamespace, part: str) -> list[Record]:
    return [record for record in read_records(pictures.root).records if record.path in getattr(pictures, part)]


@pytest.fixture(scope="module")
def released(net: CompactNet, pictures: SimpleNamespace) -> bytes:
    return release(net, ABOUT, pictures.root, _records(pictures, "validation"), _records(pictures, "holdout"))


@pytest.fixture(scope="module")
def card(released: bytes) -> ModelCard:
    return Estimator(engine=OnnxEngine(released)).card


# ---------------------------------------------------------------- the file


def test_the_file_keeps_its_golden_promise(card: ModelCard) -> None:
    assert card.golden.tolerance <= 0.05
    assert card.golden.age_years > 0
    assert card.golden.probability_female is not None


def test_the_card_says_what_the_network_is(card: ModelCard, net: CompactNet) -> None:
    assert (card.name, card.version, card.recipe) == ("tiny", "0.1", "tiny")
    assert card.input.size == net.config.size
    assert card.gender is not None
    assert card.gender.order == (Gender.FEMALE, Gender.MALE)
    assert card.validity.age_years == (0.0, 100.0)


def test_the_card_is_calibrated_and_measured_on_both_chains(card: ModelCard) -> None:
    assert card.calibration is not None
    served = [table for table in card.calibration.intervals if table.kind == card.calibration.served]
    assert [table.level for table in served] == [0.8, 0.9, 0.95]
    assert [table.level for table in card.calibration.sets] == [0.8, 0.9, 0.95]
    assert card.calibration.faces == 25
    assert "25 near-duplicate-free validation images (split 5p117)" in card.calibration.data
    assert all(sum(table.counts) >= 26 for table in card.calibration.intervals)  # 25 bare crops and the one face
    assert card.gender is not None
    assert card.gender.temperature != 1.0
    assert card.gender.sure is not None
    assert (sum(card.gender.sure.counts), card.gender.sure.data) == (26, card.calibration.data)
    bare = {f.measure: f.value for f in card.figures if f.protocol == "bare crops" and "validation" in f.data}
    assert bare["count"] == 25
    assert bare["found"] == 1
    assert not {"coverage", "width", "gender_ece"} & set(bare), "never stated on the faces that it was fitted on"
    seen = {f.measure for f in card.figures if f.protocol == "bare crops" and "holdout" in f.data}
    assert {"coverage", "width", "gender_ece", "answered"} <= seen
    assert bare["mae"] > 0
    aligned = {f.measure: f.value for f in card.figures if f.protocol != "bare crops" and "validation" in f.data}
    assert (aligned["count"], aligned["found"]) == (1, 0.04)  # one of 25 pictures is of a face
    assert card.quality is not None
    assert card.quality.min_face_pixels == 24
    assert {table.data for table in card.verification} <= {
        f"{card.calibration.data.removesuffix(', both chains')}, padded, mtcnn, aligned, labels partly estimated"
    }
    parts = {(figure.data.split()[1], figure.protocol) for figure in card.figures}
    assert parts == {(p, c) for p in ("validation", "holdout") for c in ("bare crops", "padded, mtcnn, aligned")}
    assert {figure.unit for figure in card.figures if figure.measure == "mae"} == {"years"}


def test_the_file_answers_as_the_network_does(net: CompactNet, released: bytes, pictures: SimpleNamespace) -> None:
    crops = face_crops(released, pictures.root, read_records(pictures.root).records, 8)
    assert crops.shape == (8, net.config.size, net.config.size, 3)
    assert largest_difference(net, released, crops) < 0.25


def test_small_networks_are_stored_as_float16_and_large_ones_as_int8(
    make_net: Callable[..., CompactNet], monkeypatch: pytest.MonkeyPatch
) -> None:
    wide = make_net(CompactConfig(size=16, stem=4, widths=(16,), depths=(1,)))
    kinds = [item.data_type for item in release_module._stored(wide).graph.initializer]
    assert onnx.TensorProto.FLOAT16 in kinds
    assert onnx.TensorProto.INT8 not in kinds
    monkeypatch.setattr(release_module, "_INT8_FROM_BYTES", 1)
    large = make_net(CompactConfig(size=16, stem=4, widths=(16, 40), depths=(1, 1)))
    sizes: dict[int, list[int]] = {}
    for item in release_module._stored(large).graph.initializer:
        sizes.setdefault(item.data_type, []).append(math.prod(item.dims))
    assert min(sizes[onnx.TensorProto.INT8]) >= 10_000, "and of those the small ones as float16"
    assert max(sizes[onnx.TensorProto.FLOAT16]) < 10_000


def test_the_difference_is_measured(
    released: bytes, make_net: Callable[..., CompactNet], pictures: SimpleNamespace
) -> None:
    crops = face_crops(released, pictures.root, read_records(pictures.root).records, 8)
    assert largest_difference(make_net(seed=4), released, crops) > 0.25


@pytest.mark.parametrize("weights", ["age.bias", "features"])
def test_changed_weights_are_noticed(released: bytes, weights: str) -> None:
    model = onnx.load_from_string(released)
    chosen = next(item for item in model.graph.initializer if weights in item.name and item.data_type == 1)
    array = numpy_helper.to_array(chosen).copy()
    array.flat[: array.size // 2] += 1.0
    chosen.CopyFrom(numpy_helper.from_array(array, chosen.name))
    with pytest.raises(GoldenCheckError, match="does not answer as its card promises"):
        Estimator(engine=OnnxEngine(model.SerializeToString()))


def test_a_network_of_ages_alone_is_released_too(pictures: SimpleNamespace) -> None:
    torch.manual_seed(3)
    options = {"size": 16, "stem": 4, "widths": (4, 8), "depths": (1, 1)}
    net = build_net("agewise-s", age="dldl-v2", gender=None, backbone_options=options).eval()
    validation, holdout = (_records(pictures, part) for part in ("validation", "holdout"))
    data = release(net, ABOUT, pictures.root, validation, holdout)
    estimator = Estimator(engine=OnnxEngine(data))
    assert estimator.card.gender is None
    assert estimator.card.golden.probability_female is None
    assert estimator.card.calibration is not None
    measures = {figure.measure for figure in estimator.card.figures}
    assert {"mae", "cs5", "coverage"} <= measures
    assert not any("gender" in measure for measure in measures)
    (prediction,) = estimator.predict_crops(face_crops(data, pictures.root, holdout, 1))
    assert (prediction.gender, prediction.gender_probability) == (None, None)
    assert prediction.age_interval_years is not None


def test_the_first_card_promises_nothing(net: CompactNet) -> None:
    card = first_card(net, ABOUT)
    assert card.calibration is None
    assert card.figures == ()
    assert len(card.age.class_ages) == 101  # type: ignore[union-attr]


def test_too_few_faces_to_calibrate_on(net: CompactNet, pictures: SimpleNamespace) -> None:
    with pytest.raises(ValueError, match="scores are too few for level"):
        release(net, ABOUT, pictures.root, _records(pictures, "holdout")[:3], [])


def test_real_faces(net: CompactNet, utkface: Path, real_records: tuple[Record, ...]) -> None:
    data = release(net, ABOUT, utkface, real_records, [])
    card = Estimator(engine=OnnxEngine(data)).card
    found = {figure.protocol: figure.value for figure in card.figures if figure.measure == "found"}
    assert found["bare crops"] == 1
    assert found["padded, mtcnn, aligned"] > 0.9
    assert {table.threshold for table in card.verification} == {13, 16, 18, 21, 25}


# ---------------------------------------------------------------- a run


@pytest.fixture(scope="module")
def run_folder(
    tmp_path_factory: pytest.TempPathFactory, store_folder: Path, make_config: Callable[..., TrainConfig]
) -> Path:
    folder = tmp_path_factory.mktemp("release") / "run"
    store = open_store(store_folder)
    train(make_config(epochs=2), store, hash_split(store), folder, threads=1, workers=0)
    return folder


def test_a_run_becomes_a_file_and_a_line_of_the_manifest(
    tmp_path: Path, run_folder: Path, store_folder: Path, pictures: SimpleNamespace, tiny: CompactConfig
) -> None:
    path = release_run([run_folder], store_folder, pictures.root, tmp_path / "out", version="1.2", final=False)
    assert path == tmp_path / "out" / "tiny.onnx"
    estimator = Estimator(path)
    split = hash_split(open_store(store_folder))
    assert estimator.card.version == "1.2"
    assert estimator.card.training_data == f"UTKFace, {len(split.train)} images of its open part (split {split.digest})"
    assert not any("holdout" in figure.data for figure in estimator.card.figures)
    net = load_net(run_folder / "last.ckpt", "tiny", tiny)
    crops = face_crops(path.read_bytes(), pictures.root, read_records(pictures.root).records)
    assert largest_difference(net, path.read_bytes(), crops) < 0.25
    (line,) = json.loads((tmp_path / "out" / "manifest.json").read_text())["files"]
    assert EmbeddedFile(**line).name == "tiny"


def test_a_file_that_differs_from_its_network_is_not_released(
    tmp_path: Path,
    run_folder: Path,
    store_folder: Path,
    pictures: SimpleNamespace,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(release_module, "release", lambda *_: b"")
    monkeypatch.setattr(release_module, "face_crops", lambda *_: None)
    monkeypatch.setattr(release_module, "largest_difference", lambda *_: 0.26)
    with pytest.raises(ValueError, match=r"differs from the network by 0\.260 years: it is not released"):
        release_run([run_folder], store_folder, pictures.root, tmp_path / "out", version="1", final=False)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda about, checkpoint: about.update(split="another"), "trained with the split another, the store has"),
        (lambda about, checkpoint: checkpoint.update(epoch=0), "stopped after 1 of 2 epochs: go on with"),
        (lambda about, checkpoint: about["config"].update(epoch=3), "epoch"),
    ],
    ids=["another split", "not finished", "a setting that there is not"],
)
def test_runs_that_must_not_be_released(
    tmp_path: Path,
    run_folder: Path,
    store_folder: Path,
    pictures: SimpleNamespace,
    change: Callable[..., None],
    message: str,
) -> None:
    run = tmp_path / "run"
    shutil.copytree(run_folder, run)
    about = json.loads((run / "run.json").read_text())
    checkpoint = torch.load(run / "last.ckpt", weights_only=True)
    change(about, checkpoint)
    (run / "run.json").write_text(json.dumps(about))
    torch.save(checkpoint, run / "last.ckpt")
    with pytest.raises(ValueError, match=message):
        release_run([run], store_folder, pictures.root, tmp_path / "out", version="1", final=False)
    assert not (tmp_path / "out").exists()


def test_changed_settings_are_those_of_the_run(
    tmp_path: Path, run_folder: Path, store_folder: Path, pictures: SimpleNamespace
) -> None:
    run = tmp_path / "run"
    shutil.copytree(run_folder, run)
    about = json.loads((run / "run.json").read_text())
    about["config"]["epochs"] = 5  # as `agewise-lab train tiny epochs=5` would have stored, had it gone on
    del about["ended"]
    (run / "run.json").write_text(json.dumps(about))
    with pytest.raises(ValueError, match="stopped after 2 of 5 epochs"):
        release_run([run], store_folder, pictures.root, tmp_path / "out", version="1", final=False)


def _another_run(tmp_path: Path, store_folder: Path, make_config: Callable[..., TrainConfig]) -> Path:
    store = open_store(store_folder)
    train(make_config(epochs=2, seed=9), store, hash_split(store), tmp_path / "other", threads=1, workers=0)
    return tmp_path / "other"


@pytest.mark.parametrize("mirrored", [False, True])
def test_two_runs_answer_together(
    tmp_path: Path,
    run_folder: Path,
    store_folder: Path,
    pictures: SimpleNamespace,
    tiny: CompactConfig,
    make_config: Callable[..., TrainConfig],
    mirrored: bool,
) -> None:
    other = _another_run(tmp_path, store_folder, make_config)
    runs = [run_folder, other]
    path = release_run(
        runs, store_folder, pictures.root, tmp_path / "out", version="1", final=False, name="both", mirrored=mirrored
    )
    estimator = Estimator(path)
    assert estimator.card.name == "both"
    assert estimator.card.recipe == "tiny + tiny"
    crops = face_crops(path.read_bytes(), pictures.root, read_records(pictures.root).records)[:5]
    views = [crops, np.ascontiguousarray(crops[:, :, ::-1])] if mirrored else [crops]
    ages, females = [], []
    for run in runs:
        served = ServedNet(load_net(run / "last.ckpt", "tiny", tiny))  # type: ignore[arg-type]
        for view in views:
            with torch.inference_mode():
                age, gender = served(torch.from_numpy(view.transpose(0, 3, 1, 2).copy()).float() / 255)
            ages.append(age.numpy())
            females.append(gender.numpy()[:, 0])
    image = crops.transpose(0, 3, 1, 2).astype(np.float32) / 255
    got = OnnxEngine(path.read_bytes()).run({"image": image})  # the estimator's gender is calibrated, the file's is not
    np.testing.assert_allclose(got["age_probs"], np.mean(ages, axis=0), atol=2e-3)
    np.testing.assert_allclose(got["gender_probs"][:, 0], np.mean(females, axis=0), atol=2e-3)


def test_weights_between_a_file_or_a_run_and_a_run(
    tmp_path: Path,
    run_folder: Path,
    store_folder: Path,
    pictures: SimpleNamespace,
    tiny: CompactConfig,
    make_config: Callable[..., TrainConfig],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("agewise_lab.training.teacher.find_recipe", lambda _: make_config())
    first = release_run([run_folder], store_folder, pictures.root, tmp_path / "1", version="1.5", final=False)
    other = _another_run(tmp_path, store_folder, make_config)
    nets = [load_net(run / "last.ckpt", "tiny", tiny) for run in (run_folder, other)]
    crops = face_crops(first.read_bytes(), pictures.root, read_records(pictures.root).records)[:5]
    image = crops.transpose(0, 3, 1, 2).astype(np.float32) / 255
    with torch.inference_mode():
        expected, _ = ServedNet(between(nets[0], nets[1], 0.25))(torch.from_numpy(image))  # type: ignore[arg-type]
    bases = {first: f"{Estimator(first).card.name} 1.5", run_folder: f"a run of {make_config().name}"}
    for number, (base, called) in enumerate(bases.items()):
        output = tmp_path / f"of-{number}"
        path = release_run(
            [other], store_folder, pictures.root, output, version="2", final=False, base=base, share=0.25
        )
        assert f"Weights: 0.25 of the run's, 0.75 of {called}'s." in Estimator(path).card.summary
        got = OnnxEngine(path.read_bytes()).run({"image": image})["age_probs"]
        np.testing.assert_allclose(got, expected, atol=2e-3)
    both = release_run([run_folder, other], store_folder, pictures.root, tmp_path / "3", version="1", final=False)
    with pytest.raises(ValueError, match="between one network of agewise-s or agewise-m and another"):
        release_run([other], store_folder, pictures.root, tmp_path / "4", version="2", final=False, base=both)
    assert not (tmp_path / "4").exists()


def test_less_of_the_training_ages(
    tmp_path: Path, run_folder: Path, store_folder: Path, pictures: SimpleNamespace, tiny: CompactConfig
) -> None:
    """In the file the distribution is the network's, divided by the frequency of its training ages to that power."""
    path = release_run(
        [run_folder], store_folder, pictures.root, tmp_path / "out", version="1", final=False, adjust=0.4
    )
    card = Estimator(path).card
    assert card.summary.endswith("Adjusted: ages count by their frequency in training to the power of -0.4.")
    crops = face_crops(path.read_bytes(), pictures.root, read_records(pictures.root).records)[:5]
    image = crops.transpose(0, 3, 1, 2)
    with torch.inference_mode():
        plain, _ = ServedNet(load_net(run_folder / "last.ckpt", "tiny", tiny))(torch.from_numpy(image).float() / 255)  # type: ignore[arg-type]
    store = open_store(store_folder)
    ages = agreed_ages(store)[hash_split(store).train].astype(np.float64)
    expected = plain.numpy() * np.exp(-0.4 * log_prior(ages, plain.shape[1]))
    got = OnnxEngine(path.read_bytes()).run({"image": image.astype(np.float32) / 255})["age_probs"]
    np.testing.assert_allclose(got, expected / expected.sum(axis=1, keepdims=True), atol=1e-5)
    assert np.abs(got - plain.numpy()).max() > 1e-3


@pytest.mark.parametrize("tau", [-0.1, 1.1])
def test_shares_that_are_none(make_net: Callable[..., CompactNet], tau: float) -> None:
    with pytest.raises(ValueError, match="a share of the ages' frequency is 0 to 1, got "):
        adjusted(make_net(), np.array([30.0]), tau)


def test_a_folder_without_a_run(tmp_path: Path, store_folder: Path, pictures: SimpleNamespace) -> None:
    with pytest.raises(FileNotFoundError, match="holds no run: make one with `agewise-lab train`"):
        release_run([tmp_path], store_folder, pictures.root, tmp_path / "out", version="1", final=False)


def test_the_averaged_weights_are_loaded(run_folder: Path, tiny: CompactConfig) -> None:
    checkpoint = torch.load(run_folder / "last.ckpt", weights_only=True)
    net = load_net(run_folder / "last.ckpt", "tiny", tiny)
    assert not net.training
    for key, value in net.state_dict().items():
        assert torch.equal(value, checkpoint["state_dict"][f"nets.tiny.{key}"])
    weights = "nets.tiny.age.weight"
    assert not torch.equal(checkpoint["state_dict"][weights], checkpoint["current_model_state"][weights])


def test_another_shape_than_the_checkpoints_is_refused(run_folder: Path, tiny: CompactConfig) -> None:
    with pytest.raises(RuntimeError, match="size mismatch"):
        load_net(run_folder / "last.ckpt", "tiny", dataclasses.replace(tiny, stem=6))

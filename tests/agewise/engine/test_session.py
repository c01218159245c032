"""ONNX Runtime behind its wrapper, on the networks that ship with agewise and on one made here."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest

from agewise.card import read_card
from agewise.engine import EngineConfig, FakeEngine, OnnxEngine
from agewise.errors import CardError, ModelError

MakeOnnx = Callable[..., bytes]


def embedded(name: str) -> Path:
    with resources.as_file(resources.files("agewise.weights") / name) as path:
        return path


def grey(n: int, value: float = 0.5, side: int = 16) -> npt.NDArray[np.float32]:
    return np.full((n, 3, side, side), value, dtype=np.float32)


# ---------------------------------------------------------------- configuration


def test_the_default_is_one_thread_on_the_processor() -> None:
    assert EngineConfig() == EngineConfig(threads=1, providers=("CPUExecutionProvider",))


@pytest.mark.parametrize("threads", [-1, -8])
def test_negative_threads_are_refused(threads: int) -> None:
    with pytest.raises(ValueError, match=re.escape(f"threads must be 0 (all cores) or more, got {threads}")):
        EngineConfig(threads=threads)


def test_an_unknown_provider_is_refused_with_the_list() -> None:
    message = r"no provider 'AbacusExecutionProvider'\. Known: .*CPUExecutionProvider"
    with pytest.raises(ValueError, match=message):
        EngineConfig(providers=("CPUExecutionProvider", "AbacusExecutionProvider"))


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_the_settings_reach_onnx_runtime(make_onnx: MakeOnnx, monkeypatch: pytest.MonkeyPatch, threads: int) -> None:
    made: list[Any] = []
    real = onnxruntime.InferenceSession

    def watched(data: bytes, options: Any, **rest: Any) -> Any:
        made.append((options.intra_op_num_threads, options.inter_op_num_threads, rest))
        return real(data, options, **rest)

    monkeypatch.setattr(onnxruntime, "InferenceSession", watched)
    OnnxEngine(make_onnx(), EngineConfig(threads=threads))
    assert made == [(threads, 1, {"providers": ["CPUExecutionProvider"]})]


# ---------------------------------------------------------------- embedded networks


@pytest.mark.parametrize("stage", ["pnet", "rnet", "onet"])
def test_embedded_networks_open_and_hold_metadata_but_no_card(stage: str) -> None:
    """What goes in and comes out of them is for the detector's tests to say."""
    engine = OnnxEngine(embedded(f"mtcnn-{stage}.onnx"))
    assert engine.input_names
    assert engine.output_names
    assert engine.metadata["name"] == f"mtcnn-{stage}"
    assert engine.metadata["licence"] == "MIT"
    with pytest.raises(CardError, match=rf"^mtcnn-{stage}\.onnx has no agewise card"):
        read_card(engine.metadata, f"mtcnn-{stage}.onnx")


# ---------------------------------------------------------------- running


@pytest.mark.parametrize("n", [0, 1, 5])
def test_names_and_shapes(make_onnx: MakeOnnx, n: int) -> None:
    engine = OnnxEngine(make_onnx())
    assert engine.input_names == ("image",)
    assert engine.output_names == ("age", "female")
    got = engine.run({"image": grey(n)})
    assert {name: array.shape for name, array in got.items()} == {"age": (n, 1), "female": (n, 1)}


def test_a_path_and_its_bytes_are_the_same_network(onnx_path: Path) -> None:
    values = np.random.default_rng(1).random(size=(3, 3, 16, 16), dtype=np.float32)
    a, b = (OnnxEngine(model).run({"image": values}) for model in (onnx_path, onnx_path.read_bytes()))
    assert all(np.array_equal(a[name], b[name]) for name in ("age", "female"))


@pytest.mark.parametrize("threads", [0, 1, 2])
def test_the_numbers_are_the_networks(make_onnx: MakeOnnx, threads: int) -> None:
    engine = OnnxEngine(make_onnx(), EngineConfig(threads=threads))
    values = grey(2)
    values[1, 0] = 1.0
    got = engine.run({"image": values})
    assert got["age"].reshape(-1).tolist() == pytest.approx([0.5, 2 / 3], abs=1e-6)
    assert got["female"].reshape(-1).tolist() == pytest.approx([0.5, 1.0], abs=1e-6)


def test_only_the_outputs_asked_for_come_and_in_that_order(make_onnx: MakeOnnx) -> None:
    engine = OnnxEngine(make_onnx())
    assert list(engine.run({"image": grey(1)})) == ["age", "female"]
    assert list(engine.run({"image": grey(1)}, ["female"])) == ["female"]
    assert list(engine.run({"image": grey(1)}, ["female", "age"])) == ["female", "age"]


def test_metadata_come_as_they_were_written(make_onnx: MakeOnnx) -> None:
    metadata = {"agewise_card": '{"Größe": "年齢"}', "empty": ""}
    assert OnnxEngine(make_onnx(metadata)).metadata == metadata


@pytest.mark.parametrize(
    ("inputs", "outputs", "message"),
    [
        ({"image": grey(1, side=17)}, None, "the network refused {'image': ((1, 3, 17, 17), 'float32')}"),
        ({"image": grey(1, side=17)}, None, "Got: 17 Expected: 16"),
        ({"image": grey(1)[0]}, None, "((3, 16, 16), 'float32')"),
        ({"image": grey(1).astype(np.float64)}, None, "((1, 3, 16, 16), 'float64')"),
        ({"picture": grey(1)}, None, "'picture'"),
        ({}, None, "'image'"),
        ({"image": grey(1)}, ["years"], "years"),
    ],
)
def test_what_the_network_refuses(make_onnx: MakeOnnx, inputs: Any, outputs: Any, message: str) -> None:
    with pytest.raises(ModelError, match=re.escape(message)) as caught:
        OnnxEngine(make_onnx()).run(inputs, outputs)
    assert "\n" not in str(caught.value)


def test_one_engine_may_be_run_by_several_threads_at_once(make_onnx: MakeOnnx) -> None:
    engine = OnnxEngine(make_onnx())
    values = [i / 200 for i in range(200)]
    with ThreadPoolExecutor(4) as pool:
        got = list(pool.map(lambda value: float(engine.run({"image": grey(1, value)})["age"][0, 0]), values))
    assert got == pytest.approx(values, abs=1e-6)


# ---------------------------------------------------------------- files that are no models


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not a model",
        b"\x08\x08",
        b"\x00" * 1000,
        b"\x89PNG\r\n\x1a\n" + b"\x00" * 100,
    ],
)
def test_bytes_that_are_no_model(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "broken model.onnx"
    path.write_bytes(data)
    for model, name, shown in (
        (path, None, str(path)),
        (data, None, "the model given as bytes"),
        (data, "mine", "mine"),
    ):
        with pytest.raises(ModelError) as caught:
            OnnxEngine(model, name=name)
        assert str(caught.value).startswith(f"{shown} is not a model that ONNX Runtime ")
        assert f"can load ({len(data)} bytes): " in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_model_cut_short(share: float) -> None:
    data = embedded("mtcnn-rnet.onnx").read_bytes()
    with pytest.raises(ModelError, match="is not a model that ONNX Runtime"):
        OnnxEngine(data[: int(share * len(data))])


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    missing = tmp_path / "missing.onnx"
    with pytest.raises(ModelError, match=re.escape(f"cannot read the model file {missing}: No such file")):
        OnnxEngine(missing)
    with pytest.raises(ModelError, match=re.escape(f"cannot read the model file {tmp_path}: Is a directory")):
        OnnxEngine(tmp_path)


# ---------------------------------------------------------------- the stand-in


def test_the_fake_engine_answers_as_planned_and_remembers_what_it_was_asked() -> None:
    engine = FakeEngine(lambda inputs: {"a": inputs["x"] + 1, "b": inputs["x"] * 2}, {"key": "value"})
    assert engine.metadata == {"key": "value"}
    assert engine.calls == []
    got = engine.run({"x": np.ones((2, 3))})
    assert list(got) == ["a", "b"]
    assert got["a"].tolist() == [[2.0] * 3] * 2
    assert list(engine.run({"x": np.ones(1)}, ["b"])) == ["b"]
    assert engine.calls == [{"x": (2, 3)}, {"x": (1,)}]


def test_a_fake_engine_need_not_hold_metadata() -> None:
    assert FakeEngine(lambda _: {}).metadata == {}

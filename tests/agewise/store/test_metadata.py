"""The metadata of a model file, changed on the wire: what is not changed stays byte by byte."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from agewise.engine import OnnxEngine
from agewise.errors import ModelError
from agewise.store import find_model
from agewise.store.metadata import read_metadata, replace_metadata

MakeOnnx = Callable[..., bytes]

# field 1 varint 8; field 14 {1: "a", 2: "b"}; field 7 bytes "xyz"; field 14 {2: "d", 1: "c"}; field 9 fixed32
BY_HAND = b"\x08\x08\x72\x06\x0a\x01a\x12\x01b\x3a\x03xyz\x72\x06\x12\x01d\x0a\x01c\x4d\x01\x02\x03\x04"


def test_by_hand() -> None:
    assert read_metadata(BY_HAND) == {"a": "b", "c": "d"}
    changed = replace_metadata(BY_HAND, {"a": "new"})
    rest = b"\x08\x08\x3a\x03xyz\x72\x06\x12\x01d\x0a\x01c\x4d\x01\x02\x03\x04"
    assert changed == rest + b"\x72\x08\x0a\x01a\x12\x03new"
    assert replace_metadata(BY_HAND, {}) == BY_HAND


def test_a_key_that_is_new_is_added_and_one_that_came_twice_comes_once() -> None:
    twice = BY_HAND + b"\x72\x06\x0a\x01a\x12\x01z"
    assert read_metadata(twice)["a"] == "z", "the last one counts"
    changed = replace_metadata(twice, {"a": "1", "e": "2"})
    assert read_metadata(changed) == {"a": "1", "c": "d", "e": "2"}
    assert changed.count(b"\x0a\x01a") == 1


@pytest.mark.parametrize("length", [0, 1, 126, 127, 128, 129, 16_383, 16_384, 3_000_000])
def test_values_of_any_length(length: int) -> None:
    changed = replace_metadata(BY_HAND, {"key": "é" * length})
    assert read_metadata(changed) == {"a": "b", "c": "d", "key": "é" * length}


def test_an_empty_message_and_empty_entries() -> None:
    assert read_metadata(b"") == {}
    assert read_metadata(replace_metadata(b"", {"": ""})) == {"": ""}
    assert read_metadata(b"\x72\x00") == {"": ""}, "what is not there is empty"


@pytest.mark.parametrize(
    ("message", "what"),
    [
        (b"\x3a\x05xyz", "goes beyond the end"),
        (b"\x4d\x01", "goes beyond the end"),
        (b"\x08", "a number without an end"),
        (b"\xff" * 11, "a number without an end"),
        (b"\x0b", "wire type 3"),
        (b"\x00\x01", "field 0"),
        (b"\x72\x03\x0a\x01\xff", "not UTF-8"),
        (b"not a model at all", "the file is no ONNX model"),
    ],
)
def test_what_is_no_message_is_refused(message: bytes, what: str) -> None:
    for attempt in (read_metadata, lambda data: replace_metadata(data, {"a": "b"})):
        with pytest.raises(ModelError, match=what):
            attempt(message)


def test_the_runtime_reads_what_was_written_and_answers_the_same(make_onnx: MakeOnnx) -> None:
    model = make_onnx({"agewise_card": "old", "other": "kept"})
    changed = replace_metadata(model, {"agewise_card": "new " * 999})
    image = {"image": np.random.default_rng(0).random((2, 3, 16, 16), dtype=np.float32)}
    before, after = OnnxEngine(model), OnnxEngine(changed)
    assert after.metadata == {"other": "kept", "agewise_card": "new " * 999}
    for name, values in before.run(image).items():
        assert np.array_equal(values, after.run(image)[name])


def test_the_embedded_model_keeps_all_but_its_metadata() -> None:
    data = find_model("agewise-s").data
    assert read_metadata(data) == dict(OnnxEngine(data).metadata)
    changed = replace_metadata(data, {"agewise_card": "x"})
    assert OnnxEngine(changed).metadata == {"agewise_card": "x"}
    assert len(changed) < len(data)


def test_as_the_package_onnx_has_it(make_onnx: MakeOnnx) -> None:
    onnx = pytest.importorskip("onnx", reason="the light install has no onnx")
    for data in (find_model("agewise-s").data, make_onnx({"a": "1", "b": "2"})):
        changed = replace_metadata(data, {"a": "ä", "z": ""})
        model, expected = onnx.load_from_string(changed), onnx.load_from_string(data)
        kept = {entry.key: entry.value for entry in expected.metadata_props}
        assert {entry.key: entry.value for entry in model.metadata_props} == kept | {"a": "ä", "z": ""}
        for proto in (model, expected):
            del proto.metadata_props[:]
        assert model == expected
        onnx.checker.check_model(model)

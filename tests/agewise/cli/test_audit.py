from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

Cli: TypeAlias = Callable[..., Any]
MakePicture: TypeAlias = Callable[..., Path]


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AGEWISE_AUDIT_KEY_FILE", raising=False)
    monkeypatch.setenv("AGEWISE_AUDIT_KEY", "a key of 24 bytes at all")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "audit.jsonl"


def test_predict_notes_each_face(predict: Cli, cli: Cli, make_picture: MakePicture, log: Path, onnx_path: Path) -> None:
    import hashlib

    for name in ("a.png", "b.png"):
        assert predict(make_picture(name), "--audit", log, "--json").status == 0
    begin, first, second = (json.loads(line) for line in log.read_bytes().splitlines())
    assert begin["kind"] == "begin"
    assert first["model_sha256"] == hashlib.sha256(onnx_path.read_bytes()).hexdigest()
    assert first["age_years"] == pytest.approx(20, abs=0.1)
    assert first["image_hmac_sha256"] == second["image_hmac_sha256"], "the same pixels under another name"
    assert first["verdict"] is None
    done = cli("audit", "verify", log)
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith(f"{log}: ok (3 lines; the last has sha256 ")


def test_verify_notes_its_verdicts(cli: Cli, make_picture: MakePicture, log: Path, onnx_path: Path) -> None:
    done = cli("verify", "--model", onnx_path, "--detector", "none", make_picture("a.png"), "--audit", log)
    assert done.status == 3
    entry = json.loads(log.read_bytes().splitlines()[1])
    assert entry["verdict"]["outcome"] == "unsure"
    assert (entry["verdict"]["threshold"], entry["verdict"]["challenge"]) == (18.0, 25.0)
    assert entry["verdict"]["reason"] == done.rows[0][-1]


def test_what_was_changed_is_named(predict: Cli, cli: Cli, make_picture: MakePicture, log: Path) -> None:
    predict(make_picture("a.png"), make_picture("b.png", 90), "--audit", log)
    log.write_bytes(log.read_bytes().replace(b'"face": 0', b'"face": 1', 1))
    done = cli("audit", "verify", log)
    assert done.status == 1
    assert done.out == f"{log}: line 2: it was changed, or what line 3 says of it was\n"
    again = predict(make_picture("a.png"), "--audit", log, "--json")
    assert (again.status, again.out) == (1, ""), "nothing is shown that cannot be noted"
    assert "nothing is added to it" in again.err


def test_no_key(predict: Cli, make_picture: MakePicture, log: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    predict(make_picture("a.png"), "--audit", log)
    monkeypatch.delenv("AGEWISE_AUDIT_KEY")
    done = predict(make_picture("a.png"), "--audit", log)
    assert (done.status, done.out) == (1, "")
    assert "set AGEWISE_AUDIT_KEY" in done.err
    done = cli("audit", "verify", log)
    assert done.status == 0
    assert "the seal of the head was not checked: no key" in done.err


def test_mistakes(predict: Cli, cli: Cli, make_picture: MakePicture, log: Path) -> None:
    picture = make_picture("a.png")
    done = predict(picture, "--audit", log, "--output", log)
    assert done.status == 2
    assert "the same file" in done.err
    before = picture.read_bytes()
    assert predict(picture, "--audit", picture).status == 2
    assert picture.read_bytes() == before
    done = cli("audit", "verify", log)
    assert (done.status, done.out) == (1, "")
    assert f"cannot read {log}: No such file" in done.err
    assert "verify" in cli("audit").out

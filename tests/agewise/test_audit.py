"""The audit log: what is in it, and that every change, loss and re-ordering is found."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import agewise
from agewise.audit import (
    AuditedModel,
    AuditLog,
    head_path,
    image_hmac_sha256,
    load_key,
    preprocessing_sha256,
    verify,
)
from agewise.card import ModelCard
from agewise.errors import OutputError
from agewise.types import Detection, Face, Prediction, Quality
from agewise.verdicts import judge

KEY = b"a key of 24 bytes at all"
MODEL = AuditedModel(name="tiny", sha256="ab" * 32, preprocessing_sha256="cd" * 32)
IMAGE = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
QUALITY = Quality(
    face_pixels=26.612345,
    sharpness=0.05,
    brightness=0.5,
    clipped=0.0,
    yaw_degrees=None,
    pitch_degrees=None,
    roll_degrees=None,
    cut=0.25,
    detector_score=0.9,
)
DECLINED = Face(
    Detection((0.0, 1.0, 20.0, 31.0), 0.9),
    Prediction(31.48291, 6.5, (24.25, 39.75), 0.9, None, None, answered=False, reasons=("blurred",), quality=QUALITY),
)
PLAIN = Face(Detection((5.0, 5.0, 9.0, 9.0), 0.5), Prediction(50.0, 0.0, None, None, None, None))
NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


def write_log(path: Path, pictures: int = 3) -> None:
    with AuditLog(path, key=KEY) as log:
        for _ in range(pictures):
            log.write(IMAGE, [DECLINED, PLAIN], MODEL, time=NOON)


def entries(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


@pytest.fixture
def log_path(tmp_path: Path) -> Path:
    """A log of seven lines: one that begins it, and two for each of three pictures."""
    write_log(tmp_path / "audit.jsonl")
    return tmp_path / "audit.jsonl"


# ---------------------------------------------------------------- what is in it


def test_a_line_says_what_was_decided_and_by_what(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    verdict = judge(31.0, (), (), 18.0, 25.0)
    with AuditLog(path, key=KEY) as log:
        log.write(IMAGE, [DECLINED], MODEL, verdicts=[verdict], time=NOON)
        log.write(IMAGE, [], MODEL)
    begin, face, nobody = entries(path)
    lines = path.read_bytes().splitlines()
    assert (begin["n"], begin["kind"], begin["previous"]) == (1, "begin", "0" * 64)
    assert face == {
        "n": 2,
        "kind": "face",
        "time": "2026-11-25T12:00:00.000000+00:00",
        "model": "tiny",
        "model_sha256": "ab" * 32,
        "preprocessing_sha256": "cd" * 32,
        "image_hmac_sha256": hmac.new(KEY, b"2x3:" + bytes(range(18)), "sha256").hexdigest(),
        "key": begin["key"],
        "faces": 1,
        "face": 0,
        "box_xyxy": [0.0, 1.0, 20.0, 31.0],
        "quality": {
            "face_pixels": 26.6123,
            "sharpness": 0.05,
            "brightness": 0.5,
            "clipped": 0.0,
            "yaw_degrees": None,
            "pitch_degrees": None,
            "roll_degrees": None,
            "cut": 0.25,
            "detector_score": 0.9,
        },
        "age_years": 31.4829,
        "age_interval_years": [24.25, 39.75],
        "interval_level": 0.9,
        "answered": False,
        "reasons": ["blurred"],
        "verdict": {"outcome": "pass", "reason": verdict.reason, "threshold": 18.0, "challenge": 25.0},
        "previous": hashlib.sha256(lines[0]).hexdigest(),
    }
    assert (nobody["kind"], nobody["faces"]) == ("no face", 0)
    assert nobody["previous"] == hashlib.sha256(lines[1]).hexdigest()
    assert path.stat().st_mode & 0o077 == 0


def test_pictures_are_told_apart_by_key_shape_and_pixels() -> None:
    other = IMAGE.copy()
    other[0, 0, 0] += 1
    digests = {
        image_hmac_sha256(IMAGE, KEY),
        image_hmac_sha256(IMAGE, KEY + b"!"),
        image_hmac_sha256(IMAGE.reshape(3, 2, 3), KEY),
        image_hmac_sha256(other, KEY),
    }
    assert len(digests) == 4
    assert image_hmac_sha256(np.asfortranarray(IMAGE), KEY) in digests, "however it lies in memory"


def test_the_preprocessing_is_that_of_the_card(make_card: Callable[..., ModelCard]) -> None:
    same = preprocessing_sha256(make_card(summary="another", version="2.0"))
    assert preprocessing_sha256(make_card()) == same
    assert preprocessing_sha256(make_card(crop={"kind": "box", "margin": 0.2})) != same
    assert preprocessing_sha256(make_card(input={"size": 16, "color_order": "BGR"})) != same


# ---------------------------------------------------------------- the key


def test_the_key_comes_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AGEWISE_AUDIT_KEY", raising=False)
    monkeypatch.delenv("AGEWISE_AUDIT_KEY_FILE", raising=False)
    assert load_key() is None
    with pytest.raises(OutputError, match="set AGEWISE_AUDIT_KEY, or AGEWISE_AUDIT_KEY_FILE"):
        AuditLog(tmp_path / "audit.jsonl")
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setenv("AGEWISE_AUDIT_KEY_FILE", str(tmp_path / "key"))
    with pytest.raises(OutputError, match="cannot read the key file .*No such file"):
        load_key()
    (tmp_path / "key").write_bytes(KEY + b"\n")
    assert load_key() == KEY
    monkeypatch.setenv("AGEWISE_AUDIT_KEY", "0123456789abcdef")
    assert load_key() == b"0123456789abcdef"
    monkeypatch.setenv("AGEWISE_AUDIT_KEY", "short secret")
    with pytest.raises(OutputError, match="has 12 bytes, at least 16") as caught:
        load_key()
    assert "short secret" not in str(caught.value)


def test_the_key_is_nowhere_in_the_files(log_path: Path) -> None:
    assert KEY not in log_path.read_bytes() + head_path(log_path).read_bytes()


# ---------------------------------------------------------------- whole logs


def test_a_whole_log(log_path: Path) -> None:
    found = verify(log_path, key=KEY)
    assert (found.ok, found.lines, found.line, found.notes) == (True, 7, None, ())
    assert found.last_sha256 == hashlib.sha256(log_path.read_bytes().splitlines()[-1]).hexdigest()
    assert "no key" in verify(log_path).notes[0]
    assert "another key" in verify(log_path, key=b"another key of some length").notes[0]


def test_opening_again_continues_the_chain(log_path: Path) -> None:
    write_log(log_path, 2)
    write_log(log_path, 0)
    found = verify(log_path, key=KEY)
    assert (found.ok, found.lines) == (True, 11)
    assert [entry["kind"] for entry in entries(log_path)].count("begin") == 1


def test_a_log_has_one_writer_at_a_time(log_path: Path) -> None:
    with AuditLog(log_path, key=KEY), pytest.raises(OutputError, match="another process or another log"):
        AuditLog(log_path, key=KEY)
    write_log(log_path, 1)
    assert verify(log_path, key=KEY).lines == 9


# ---------------------------------------------------------------- every change is found


def test_any_changed_byte_is_found(log_path: Path) -> None:
    """Every 23rd byte of the log in turn; the first wrong line is that of the byte, or the one before it."""
    whole = log_path.read_bytes()

    for place in range(0, len(whole), 23):
        line = 1 + whole[:place].count(b"\n")
        changed = bytearray(whole)
        changed[place] ^= 1
        log_path.write_bytes(changed)
        found = verify(log_path)
        assert not found.ok, f"byte {place} of line {line}"
        assert found.line is not None
        assert found.line in (line - 1, line), f"byte {place} of line {line}, found {found}"


def _lines_changed(change: Callable[[list[bytes]], list[bytes]]) -> Callable[[Path], None]:
    def act(path: Path) -> None:
        path.write_bytes(b"".join(change(path.read_bytes().splitlines(keepends=True))))

    return act


@pytest.mark.parametrize(
    ("change", "line", "message"),
    [
        (lambda x: x[:2] + x[3:], 3, "it has the number 4: lines were lost, added or re-ordered"),
        (lambda x: x[1:], 1, "it has the number 2"),
        (lambda x: [x[0], x[2], x[1], *x[3:]], 2, "it has the number 3"),
        (lambda x: [*x[:3], x[2], *x[3:]], 4, "it has the number 3"),
        (lambda x: x[:-1], 7, "1 lines at the end are lost: the head counts 7"),
        (lambda x: x[:2], 3, "5 lines at the end are lost"),
        (lambda x: [], 1, "7 lines at the end are lost"),
        (lambda x: [*x, x[-1]], 8, "it has the number 7"),
        (lambda x: [*x[:6], x[6].replace(b"50.0", b"20.0")], 7, "it is not the line that the head knows"),
        (lambda x: [*x[:4], x[4].replace(b"50.0", b"20.0"), *x[5:]], 5, "it was changed"),
        (lambda x: [*x[:4], b"\n", *x[5:]], 5, "it is no line of an audit log"),
    ],
)
def test_loss_and_order(log_path: Path, change: Any, line: int, message: str) -> None:
    _lines_changed(change)(log_path)
    found = verify(log_path, key=KEY)
    assert found.line == line
    assert found.problem is not None
    assert message in found.problem
    with pytest.raises(OutputError, match=f"is not whole .line {line}: .*nothing is added"):
        AuditLog(log_path, key=KEY)


def test_a_lost_or_false_head(log_path: Path) -> None:
    head = json.loads(head_path(log_path).read_bytes())
    lines = log_path.read_bytes().splitlines(keepends=True)
    log_path.write_bytes(b"".join(lines[:5]))
    false = head | {"lines": 5, "sha256": hashlib.sha256(lines[4][:-1]).hexdigest()}
    head_path(log_path).write_text(json.dumps(false))
    assert verify(log_path).ok, "without the key, a head that was made anew is not found: so the text says"
    found = verify(log_path, key=KEY)
    assert found.problem == "the seal of the head is wrong: the head was made by somebody without the key"
    head_path(log_path).unlink()
    assert "its head (FILE.head) is missing" in str(verify(log_path, key=KEY).problem)
    head_path(log_path).write_text("[]")
    assert "its head (FILE.head) is missing or damaged" in str(verify(log_path, key=KEY).problem)


# ---------------------------------------------------------------- crashes


def test_a_torn_last_line_is_explained_cut_off_and_noted(log_path: Path) -> None:
    whole = log_path.read_bytes()
    torn = b'{"n": 8, "kind": "face", "time": "2026'
    log_path.write_bytes(whole + torn)
    found = verify(log_path, key=KEY)
    assert (found.lines, found.line) == (7, 8)
    assert "not written to its end" in str(found.problem)
    write_log(log_path, 1)
    assert verify(log_path, key=KEY).ok
    repair = entries(log_path)[7]
    assert (repair["kind"], repair["bytes"], repair["sha256"]) == (
        "repair",
        len(torn),
        hashlib.sha256(torn).hexdigest(),
    )
    assert log_path.read_bytes().startswith(whole)


def test_a_last_line_that_was_counted_and_is_torn_is_no_crash(log_path: Path) -> None:
    os.truncate(log_path, log_path.stat().st_size - 9)
    found = verify(log_path, key=KEY)
    assert (found.line, found.problem) == (7, "1 lines at the end are lost: the head counts 7")
    size = log_path.stat().st_size
    with pytest.raises(OutputError, match="is not whole"):
        AuditLog(log_path, key=KEY)
    assert log_path.stat().st_size == size


def test_a_crash_before_the_head_is_noted(log_path: Path) -> None:
    behind = head_path(log_path).read_bytes()
    write_log(log_path, 1)
    head_path(log_path).write_bytes(behind)
    found = verify(log_path, key=KEY)
    assert found.ok
    assert "lines 8 to 9 stand after those that the head counts" in found.notes[0]
    write_log(log_path, 0)
    assert verify(log_path, key=KEY).notes == ()
    assert entries(log_path)[-1]["what"] == "the head was behind"


@pytest.mark.parametrize("content", [b"a text of somebody", b"a line\nand another", b"\xff\xd8\xff\xe0"])
def test_a_file_of_another_kind_is_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(content)
    with pytest.raises(OutputError, match="line 1: it is no line of an audit log"):
        AuditLog(path, key=KEY)
    assert path.read_bytes() == content
    assert not head_path(path).exists()


CHILD = """
import sys
sys.path.insert(0, sys.argv[1])
import numpy as np
from agewise.audit import AuditedModel, AuditLog
model = AuditedModel(name="tiny", sha256="ab" * 32, preprocessing_sha256="cd" * 32)
log = AuditLog(sys.argv[2], key=b"a key of 24 bytes at all")
image = np.zeros((4, 4, 3), dtype=np.uint8)
for number in range(10_000):
    log.write(image, [], model)
    print(number, flush=True)
"""


def test_kill_leaves_a_log_that_goes_on(tmp_path: Path) -> None:
    path, seen = tmp_path / "audit.jsonl", 0
    for count in (1, 7):
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(Path(agewise.__file__).parents[1]), str(path)], stdout=subprocess.PIPE
        )
        assert child.stdout is not None
        for _ in range(count):
            child.stdout.readline()
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        seen += count
    write_log(path, 0)
    assert verify(path, key=KEY).ok
    assert sum(entry["kind"] == "no face" for entry in entries(path)) >= seen, "what was promised is there"


def test_a_full_disk_leaves_the_log_as_it_was(log_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = log_path.read_bytes()
    with AuditLog(log_path, key=KEY) as log:

        def half(descriptor: int, data: bytes) -> None:
            os.write(descriptor, data[:100])
            raise OSError(28, os.strerror(28))

        with monkeypatch.context() as patch:
            patch.setattr("agewise.audit.log.write_all", half)
            with pytest.raises(OutputError, match="cannot write .*No space left on device"):
                log.write(IMAGE, [PLAIN], MODEL)
        assert log_path.read_bytes() == before
        log.write(IMAGE, [PLAIN], MODEL)
    assert verify(log_path, key=KEY).lines == 8


def test_a_log_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="No such file or directory"):
        AuditLog(tmp_path / "nowhere" / "audit.jsonl", key=KEY)

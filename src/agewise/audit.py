"""A log that shows what was decided and that nobody changed it: hash-chained JSON Lines, no pixels.

Each line holds its number and the SHA-256 of the line before (its bytes without the line feed; 64 zeros for the
first). Beside the log stands `FILE.head` with the number of lines and the hash of the last one, sealed with the
key (HMAC-SHA256). `verify` finds from the chain any line that was changed, lost, added or moved inside the log, and
from the head what was cut off or changed at its end. What it cannot find:

- without the head, lines that were cut off at the end, or a change of the very last line;
- without the key, a log and a head that were both made anew by somebody who knows this format;
- with the key on the same machine, what somebody did who could read the key, too. Keep the last hash that
  `agewise audit verify` prints somewhere else from time to time: it vouches for all lines up to it.

A picture is known by its keyed hash: HMAC-SHA256 over its height and width ("HEIGHTxWIDTH:") and its upright RGB
pixels. The key is at least 16 bytes, from the environment: `AGEWISE_AUDIT_KEY` holds it as text, or
`AGEWISE_AUDIT_KEY_FILE` names a file that holds it. Only who has the key can tell whether a given picture is meant.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from agewise._files import atomic_write, shown
from agewise.card import ModelCard
from agewise.errors import OutputError
from agewise.sinks.record_files import write_all
from agewise.types import Face, Quality, UInt8Array
from agewise.verdicts import Verdict

KEY_VARIABLE = "AGEWISE_AUDIT_KEY"
KEY_FILE_VARIABLE = "AGEWISE_AUDIT_KEY_FILE"
LEAST_KEY_BYTES = 16
FIRST_PREVIOUS = "0" * 64


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditedModel:
    """What judged, as each line names it.

    Args:
        name: of the model.
        sha256: of its file.
        preprocessing_sha256: of how its crops are cut and fed, see `preprocessing_sha256`.
    """

    name: str
    sha256: str
    preprocessing_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditCheck:
    """What `verify` found.

    Args:
        lines: whole lines of the log.
        problem: what is wrong, or None where nothing is.
        line: the first line that is wrong, from 1; None where nothing is, or where no line can be named.
        notes: what could not be checked, or looks like a crash.
        last_sha256: hash of the last whole line, to be kept elsewhere.
    """

    lines: int
    problem: str | None
    line: int | None
    notes: tuple[str, ...]
    last_sha256: str

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return self.problem is None


def load_key() -> bytes | None:
    """The key from the environment, or None where neither variable is set.

    Raises:
        OutputError: the key file cannot be read, or the key is shorter than 16 bytes.
    """
    text, path = os.environ.get(KEY_VARIABLE), os.environ.get(KEY_FILE_VARIABLE)
    if text:
        key, where = text.encode("utf-8", "surrogateescape"), KEY_VARIABLE
    elif path:
        where = f"the key file {shown(path)}"
        try:
            key = Path(path).read_bytes().strip()
        except OSError as error:
            raise OutputError(f"cannot read {where} ({KEY_FILE_VARIABLE}): {error.strerror or error}") from error
    else:
        return None
    if len(key) < LEAST_KEY_BYTES:
        raise OutputError(
            f"the audit key in {where} has {len(key)} bytes, at least {LEAST_KEY_BYTES} are needed: "
            "make one with openssl rand -hex 32"
        )
    return key


def preprocessing_sha256(card: ModelCard) -> str:
    """SHA-256 of all that a card says of how its crops are cut and fed: its parts `crop` and `input` as JSON."""
    parts = card.model_dump(mode="json", include={"crop", "input"})
    return hashlib.sha256(json.dumps(parts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def image_hmac_sha256(image_rgb: UInt8Array, key: bytes) -> str:
    """The keyed hash of an upright uint8 RGB picture (height, width, 3). See this module's text."""
    height, width = image_rgb.shape[:2]
    return hmac.digest(key, f"{height}x{width}:".encode() + image_rgb.tobytes(), "sha256").hex()


class AuditLog:
    """Appends to a log, new or old, and holds it against other writers until it is closed.

    Lines are forced to the disk before `write` returns. A line that a crash tore is cut off, and a line that says so
    is added.

    Args:
        path: of the log; its head stands beside it.
        key: by default from the environment, see `load_key`.

    Raises:
        OutputError: no key; the log cannot be written, another process writes it, or its end is not what its head
            says.
    """

    def __init__(self, path: str | os.PathLike[str], *, key: bytes | None = None) -> None:
        key = load_key() if key is None else key
        if key is None:
            raise OutputError(
                f"the audit log {shown(path)} needs a key for its hashes of pictures: set {KEY_VARIABLE}, or "
                f"{KEY_FILE_VARIABLE} to a file that holds it (make one: openssl rand -hex 32 > FILE; keep it)"
            )
        self._path, self._key, self._lock = Path(path), key, threading.Lock()
        try:
            self._descriptor = _open_alone(self._path)
        except OSError as error:
            raise OutputError(f"cannot write {shown(path)}: {error.strerror or error}") from error
        try:
            self._begin()
        except BaseException:
            os.close(self._descriptor)
            raise

    def write(
        self,
        image_rgb: UInt8Array,
        faces: Sequence[Face],
        model: AuditedModel,
        *,
        verdicts: Sequence[Verdict] | None = None,
        time: datetime | None = None,
    ) -> None:
        """Append one line a face, or one that there was none; all or nothing.

        Args:
            image_rgb: the upright picture, of which only the keyed hash is kept.
            faces: what was found.
            model: what judged them.
            verdicts: one a face, where verdicts were given.
            time: by default now.

        Raises:
            OutputError: the log cannot be written; it is as it was.
        """
        common = {
            "time": (time or datetime.now(UTC)).astimezone(UTC).isoformat(timespec="microseconds"),
            "model": model.name,
            "model_sha256": model.sha256,
            "preprocessing_sha256": model.preprocessing_sha256,
            "image_hmac_sha256": image_hmac_sha256(image_rgb, self._key),
            "key": _key_name(self._key),
            "faces": len(faces),
        }
        given = [None] * len(faces) if verdicts is None else list(verdicts)
        entries = [
            {"kind": "face", **common, **_face(index, face, verdict)}
            for index, (face, verdict) in enumerate(zip(faces, given, strict=True))
        ]
        with self._lock:
            self._append(entries or [{"kind": "no face", **common}])

    def close(self) -> None:
        """Let the log go."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _begin(self) -> None:
        """Find the end of the chain; note what a crash left."""
        found = _walk(self._path, self._key)
        if found.problem is not None and found.torn is None:
            line = "" if found.line is None else f"line {found.line}: "
            raise OutputError(
                f"the audit log {shown(self._path)} is not whole ({line}{found.problem}): "
                "nothing is added to it; keep it as it is and choose another file"
            )
        self._lines, self._last = found.lines, found.last
        repairs: list[dict[str, Any]] = []
        if found.torn is not None:
            # Only what was never counted is cut: a torn line that the head knows was refused above.
            os.ftruncate(self._descriptor, os.fstat(self._descriptor).st_size - len(found.torn))
            digest = hashlib.sha256(found.torn).hexdigest()
            repairs.append({"what": "a torn last line was cut off", "bytes": len(found.torn), "sha256": digest})
        if found.beyond_head:
            repairs.append({"what": "the head was behind", "lines": found.beyond_head})
        now = datetime.now(UTC).isoformat(timespec="microseconds")
        if not self._lines:
            self._append([{"kind": "begin", "time": now, "audit_version": 1, "key": _key_name(self._key)}])
        if repairs:
            self._append([{"kind": "repair", "time": now, **repair} for repair in repairs])

    def _append(self, entries: Sequence[Mapping[str, Any]]) -> None:
        lines, number, last = b"", self._lines, self._last
        for entry in entries:
            number += 1
            text = json.dumps({"n": number, **entry, "previous": last}, ensure_ascii=True, allow_nan=False)
            line = text.encode()
            lines, last = lines + line + b"\n", hashlib.sha256(line).hexdigest()
        size = os.fstat(self._descriptor).st_size
        try:
            write_all(self._descriptor, lines)
            os.fsync(self._descriptor)
        except BaseException as error:
            os.ftruncate(self._descriptor, size)
            if isinstance(error, OSError):
                raise OutputError(f"cannot write {shown(self._path)}: {error.strerror or error}") from error
            raise
        self._lines, self._last = number, last
        head = {"lines": number, "sha256": last, "key": _key_name(self._key), "seal": _seal(self._key, number, last)}
        with atomic_write(head_path(self._path)) as file:
            file.write(json.dumps(head).encode() + b"\n")


def verify(path: str | os.PathLike[str], *, key: bytes | None = None) -> AuditCheck:
    """Go through a log and its head; finds any change, loss or re-ordering, as far as this module's text says.

    Args:
        path: of the log.
        key: checks the seal of the head; without it a note says that it was not checked.

    Raises:
        OSError: the log cannot be read.
    """
    found = _walk(path, key)
    return AuditCheck(
        lines=found.lines, problem=found.problem, line=found.line, notes=tuple(found.notes), last_sha256=found.last
    )


def head_path(path: str | os.PathLike[str]) -> Path:
    """Where the head of a log stands: `FILE.head`."""
    return Path(f"{os.fspath(path)}.head")


# ---------------------------------------------------------------- the walk through a log


class _Walk:
    """What a walk through a log found; see `AuditCheck`."""

    def __init__(self) -> None:
        self.lines = 0
        self.last = FIRST_PREVIOUS
        self.problem: str | None = None
        self.line: int | None = None
        self.notes: list[str] = []
        self.torn: bytes | None = None
        self.beyond_head = 0

    def fail(self, problem: str, line: int | None) -> None:
        if self.problem is None:
            self.problem, self.line = problem, line


def _walk(path: str | os.PathLike[str], key: bytes | None) -> _Walk:
    found, head = _Walk(), _read_head(path)
    at_head: str | None = FIRST_PREVIOUS if head is not None and head["lines"] == 0 else None
    with open(path, "rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                begin = f'{{"n": {number}, "kind": '.encode()
                if line[: len(begin)] != begin[: len(line)]:
                    found.fail("it is no line of an audit log", number)
                    return found
                found.torn = line
                break
            _check_line(found, number, line[:-1])
            if found.problem is not None:
                return found
            found.lines, found.last = number, hashlib.sha256(line[:-1]).hexdigest()
            if head is not None and number == head["lines"]:
                at_head = found.last
    _check_head(found, head, at_head, key)
    if found.torn is not None and found.problem is None:
        found.fail(
            "it was not written to its end: the process or the machine stopped meanwhile, or it was cut; all lines "
            "before it are whole. The next opening of the log cuts it off and notes that",
            found.lines + 1,
        )
    elif found.torn is not None:
        found.torn = None  # more is wrong than a crash explains
    return found


def _check_line(found: _Walk, number: int, line: bytes) -> None:
    try:
        entry = json.loads(line)
        counted, previous = entry["n"], entry["previous"]
    except (ValueError, KeyError, TypeError):
        found.fail("it is no line of an audit log: it was changed", number)
        return
    if counted != number:
        found.fail(f"it has the number {counted}: lines were lost, added or re-ordered", number)
    elif previous != found.last:
        if number == 1:
            found.fail("it does not begin a log: it was changed, or lines before it were lost", 1)
        else:
            found.fail(f"it was changed, or what line {number} says of it was", number - 1)


def _check_head(found: _Walk, head: dict[str, Any] | None, at_head: str | None, key: bytes | None) -> None:
    """Hold the end of the log against its head."""
    if head is None:
        if found.lines > 1:
            found.fail("its head (FILE.head) is missing or damaged: lines may have been cut off at the end", None)
        return
    if head["lines"] > found.lines:
        lost = head["lines"] - found.lines
        found.fail(f"{lost} lines at the end are lost: the head counts {head['lines']}", found.lines + 1)
    elif at_head != head["sha256"]:
        found.fail("it is not the line that the head knows: it was changed", head["lines"] or None)
    elif key is None:
        found.notes.append(f"the seal of the head was not checked: no key (set {KEY_VARIABLE} or {KEY_FILE_VARIABLE})")
    elif head.get("key") != _key_name(key):
        found.notes.append("the seal of the head was not checked: it was made with another key")
    elif not hmac.compare_digest(str(head.get("seal")), _seal(key, head["lines"], head["sha256"])):
        found.fail("the seal of the head is wrong: the head was made by somebody without the key", None)
    if found.problem is None and found.lines > head["lines"]:
        found.beyond_head = found.lines - head["lines"]
        found.notes.append(
            f"lines {head['lines'] + 1} to {found.lines} stand after those that the head counts: the process stopped "
            "before it wrote the head, or they were added by hand"
        )


def _read_head(path: str | os.PathLike[str]) -> dict[str, Any] | None:
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        head = json.loads(head_path(path).read_bytes())
        lines, last = head["lines"], head["sha256"]
        if isinstance(lines, int) and lines >= 0 and isinstance(last, str):
            return dict(head)
    return None


# ---------------------------------------------------------------- parts of lines


def _face(index: int, face: Face, verdict: Verdict | None) -> dict[str, Any]:
    interval, level = face.age_interval_years, face.prediction.interval_level
    return {
        "face": index,
        "box_xyxy": _rounded(face.box_xyxy),
        "quality": _quality(face.quality),
        "age_years": round(float(face.age_years), 4),
        "age_interval_years": None if interval is None else _rounded(interval),
        "interval_level": None if level is None else float(level),
        "answered": face.answered,
        "reasons": list(face.reasons),
        "verdict": None if verdict is None else _verdict(verdict),
    }


def _quality(quality: Quality | None) -> dict[str, float | None] | None:
    if quality is None:
        return None
    return {name: None if value is None else round(float(value), 4) for name, value in asdict(quality).items()}


def _verdict(verdict: Verdict) -> dict[str, Any]:
    return {
        "outcome": verdict.outcome.value,
        "reason": verdict.reason,
        "threshold": float(verdict.threshold),
        "challenge": float(verdict.challenge),
    }


def _rounded(values: Sequence[float]) -> list[float]:
    return [round(float(value), 4) for value in values]


def _key_name(key: bytes) -> str:
    """Tells keys apart, and nothing of the key itself."""
    return hmac.digest(key, b"agewise audit: name of the key", "sha256").hex()[:16]


def _seal(key: bytes, lines: int, last: str) -> str:
    return hmac.digest(key, f"agewise audit: {lines} lines, last {last}".encode(), "sha256").hex()


def _open_alone(path: Path) -> int:
    """Open a log for appending, alone. Raises `OSError`, `BlockingIOError` where another process has it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except ImportError:  # Windows has no such lock
        pass
    except BlockingIOError as error:
        os.close(descriptor)
        raise BlockingIOError(error.errno, "another process or another log in this one writes it") from None
    return descriptor

"""Writing an audit log."""

from __future__ import annotations

import hashlib
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
from agewise.audit.check import head_path, walk
from agewise.audit.keys import KEY_FILE_VARIABLE, KEY_VARIABLE, image_hmac_sha256, key_name, load_key, seal
from agewise.errors import OutputError
from agewise.sinks.record_files import BINARY, write_all
from agewise.types import Face, Quality, UInt8Array
from agewise.verdicts import Verdict


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
            "key": key_name(self._key),
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
        found = walk(self._path, self._key)
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
            self._append([{"kind": "begin", "time": now, "audit_version": 1, "key": key_name(self._key)}])
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
        head = {"lines": number, "sha256": last, "key": key_name(self._key), "seal": seal(self._key, number, last)}
        with atomic_write(head_path(self._path)) as file:
            file.write(json.dumps(head).encode() + b"\n")


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


def _open_alone(path: Path) -> int:
    """Open a log for appending, alone. Raises `OSError`, `BlockingIOError` where another process has it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | BINARY, 0o600)
    try:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except ImportError:  # Windows has no such lock
        pass
    except BlockingIOError as error:
        os.close(descriptor)
        raise BlockingIOError(error.errno, "another process or another log in this one writes it") from None
    return descriptor

"""Going through an audit log and its head: what is wrong, and where first."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agewise.audit.keys import KEY_FILE_VARIABLE, KEY_VARIABLE, key_name, seal

FIRST_PREVIOUS = "0" * 64
_TORN = (
    "it was not written to its end: the process or the machine stopped meanwhile, or it was cut; all lines before it "
    "are whole. The next opening of the log cuts it off and notes that"
)


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


def verify(path: str | os.PathLike[str], *, key: bytes | None = None) -> AuditCheck:
    """Go through a log and its head; finds any change, loss or re-ordering, as far as the text of `agewise.audit` says.

    Args:
        path: of the log.
        key: checks the seal of the head; without it a note says that it was not checked.

    Raises:
        OSError: the log cannot be read.
    """
    found = walk(path, key)
    return AuditCheck(
        lines=found.lines, problem=found.problem, line=found.line, notes=tuple(found.notes), last_sha256=found.last
    )


def head_path(path: str | os.PathLike[str]) -> Path:
    """Where the head of a log stands: `FILE.head`."""
    return Path(f"{os.fspath(path)}.head")


class Walk:
    """What a walk through a log found, see `AuditCheck`: and what a crash explains.

    `torn` is a last line without its end, where nothing else is wrong; `beyond_head` counts lines that the head
    does not know.
    """

    def __init__(self) -> None:
        self.lines = 0
        self.last = FIRST_PREVIOUS
        self.problem: str | None = None
        self.line: int | None = None
        self.notes: list[str] = []
        self.torn: bytes | None = None
        self.beyond_head = 0

    def fail(self, problem: str, line: int | None) -> None:
        """Note what is wrong; what was found first stays."""
        if self.problem is None:
            self.problem, self.line = problem, line


def walk(path: str | os.PathLike[str], key: bytes | None) -> Walk:
    """Go through a log to its end, or to the first line that is wrong. Raises `OSError`."""
    found, head = Walk(), _read_head(path)
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
        found.fail(_TORN, found.lines + 1)
    elif found.torn is not None:
        found.torn = None  # more is wrong than a crash explains
    return found


def _check_line(found: Walk, number: int, line: bytes) -> None:
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


def _check_head(found: Walk, head: dict[str, Any] | None, at_head: str | None, key: bytes | None) -> None:
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
    elif head.get("key") != key_name(key):
        found.notes.append("the seal of the head was not checked: it was made with another key")
    elif not hmac.compare_digest(str(head.get("seal")), seal(key, head["lines"], head["sha256"])):
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

"""Fetching the archives that anyone may have: whole or not at all, going on where it stopped.

A file grows under a temporary name (`.agewise-NAME.part`), beside a note of what the server said it is
(`.agewise-NAME.part.json`); it gets its name when it is whole and its checksum is right. A call that finds a
part asks the server for the rest only, and for all if the file there has changed since. What came is recorded
beside it as `NAME.sha256`, in the form of the tool sha256sum: where the owners state no checksum, it shows
later changes, and proves nothing about what came first.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import shutil
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import IO, Any

from agewise._files import atomic_write, shown
from agewise_lab.datasets.base import Download

Progress = Callable[[int, int | None], None]
"""Called with (bytes on hand, bytes in all or None)."""

_BLOCK = 1 << 20
_SPARE = 64 << 20
"""What is left free on the disk, at least."""


class DownloadError(OSError):
    """A file cannot be fetched, or is not what it should be."""

    def __str__(self) -> str:
        return str(self.args[0])


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file that is there now.

    Args:
        path: where.
        sha256: of its bytes.
        checked: whether that is the checksum that was stated, not just a record of what came.
        was_there: nothing had to be fetched.
    """

    path: Path
    sha256: str
    checked: bool
    was_there: bool = False


class _NoDowngrade(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but none from https to http."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        if req.full_url.startswith("https:") and not newurl.startswith("https:"):
            raise DownloadError(f"{req.full_url} leads to {newurl}, which is not encrypted: not followed")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


@dataclass
class _Part:
    """What is on hand of a file, and what the server said of it."""

    path: Path
    note: Path
    tag: str | None = None
    total: int | None = None

    @classmethod
    def open(cls, folder: Path, download: Download) -> _Part:
        """The part of an earlier call where there is one of the same address, else an empty one."""
        part = cls(folder / f".agewise-{download.file}.part", folder / f".agewise-{download.file}.part.json")
        note: dict[str, Any] = {}
        with contextlib.suppress(OSError, ValueError):
            note = json.loads(part.note.read_text(encoding="utf-8"))
        if note.get("url") == download.url and isinstance(note.get("tag"), str):
            part.tag, part.total = note["tag"], note.get("total")
        else:
            part.path.unlink(missing_ok=True)
        return part

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def remember(self, download: Download, tag: str | None, total: int | None) -> None:
        self.tag, self.total = tag, total
        with atomic_write(self.note) as file:
            file.write(json.dumps({"url": download.url, "tag": tag, "total": total}).encode())


def fetch(
    download: Download,
    folder: Path,
    *,
    progress: Progress | None = None,
    attempts: int = 5,
    timeout_s: float = 60.0,
    pause_s: float = 2.0,
) -> Fetched:
    """Fetch a file, or the rest of it, or see that it is there already.

    Args:
        download: what.
        folder: where to; it must exist.
        progress: told how far it is.
        attempts: how many times in a row the connection may break without a byte more.
        timeout_s: how long to wait for the server to say something.
        pause_s: between attempts, doubled each time.

    Raises:
        DownloadError: the server has no such file, or the connection broke too often (what came is kept), or
            what came has another checksum than stated (it keeps its temporary name).
        OSError: the folder cannot be written to.
    """
    target = folder / download.file
    if target.exists():
        return _already_there(download, target)
    part = _Part.open(folder, download)
    failed = 0
    while not (part.total is not None and part.size == part.total):
        before = part.size
        try:
            if _fetch_once(download, part, progress, timeout_s):
                break
            problem: Exception = ConnectionError("the connection ended before the file did")
        except (urllib.error.URLError, http.client.HTTPException, ssl.SSLError, ConnectionError, TimeoutError) as error:
            problem = error
        failed = 0 if part.size > before else failed + 1
        if failed >= attempts:
            raise DownloadError(
                f"{download.url}: {_reason(problem)}; {part.size:,} bytes are kept, the same command goes on from there"
            ) from problem
        time.sleep(pause_s * 2 ** max(failed - 1, 0))
    return _finish(download, part, target)


def _reason(error: Exception) -> str:
    return str(error.reason) if isinstance(error, urllib.error.URLError) else str(error) or type(error).__name__


def _already_there(download: Download, target: Path) -> Fetched:
    digest = sha256_of(target)
    recorded = _recorded(target)
    if download.sha256 is not None and digest != download.sha256:
        raise DownloadError(
            f"{shown(target)} is there with the sha256 {digest}, expected {download.sha256} "
            f"({download.sha256_from}): move it away to fetch it again"
        )
    if download.sha256 is None and recorded not in (None, digest):
        raise DownloadError(f"{shown(target)} has changed since it was fetched: its sha256 was {recorded}")
    return Fetched(target, digest, checked=download.sha256 is not None, was_there=True)


def _recorded(target: Path) -> str | None:
    with contextlib.suppress(OSError, IndexError):
        return target.with_name(target.name + ".sha256").read_text(encoding="utf-8").split()[0]
    return None


def _fetch_once(download: Download, part: _Part, progress: Progress | None, timeout_s: float) -> bool:
    """One request; whether the file is whole after it."""
    request = urllib.request.Request(download.url, headers={"User-Agent": "agewise-lab", "Accept-Encoding": "identity"})
    have = part.size
    if have and part.tag is not None:
        request.add_header("Range", f"bytes={have}-")
        request.add_header("If-Range", part.tag)
    try:
        with urllib.request.build_opener(_NoDowngrade).open(request, timeout=timeout_s) as answer:
            start, total = _where(answer.status, answer.headers, have)
            if answer.headers.get_content_type() == "text/html":
                raise DownloadError(f"{download.url} gave a page instead of a file: look at it in a browser")
            part.remember(download, _tag(answer.headers), total)
            _need_space(part, total, start)
            _copy(answer, part, start, progress)
    except urllib.error.HTTPError as error:
        with error:  # an answer too, with a connection to close
            _judge_status(download, part, error)
        return False
    return part.total is None or part.size == part.total


def _judge_status(download: Download, part: _Part, error: urllib.error.HTTPError) -> None:
    """Return where another attempt makes sense.

    Raises:
        DownloadError: the answer will be the same next time.
        urllib.error.HTTPError: it may not.
    """
    if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        part.path.unlink(missing_ok=True)  # longer than the file is now: begin again
    elif error.code < 500 and error.code not in (http.HTTPStatus.REQUEST_TIMEOUT, http.HTTPStatus.TOO_MANY_REQUESTS):
        raise DownloadError(
            f"{download.url}: the server says {error.code} {error.reason}: see the data set's page"
        ) from error
    else:
        raise error


def _where(status: int, headers: Message, have: int) -> tuple[int, int | None]:
    """(where the answer's bytes begin, size of the whole file or None)."""
    length = headers.get("Content-Length")
    if status != http.HTTPStatus.PARTIAL_CONTENT:
        return 0, int(length) if length is not None else None
    unit, _, rest = (headers.get("Content-Range") or "").partition(" ")
    span, _, total = rest.partition("/")
    start = span.partition("-")[0]
    if unit != "bytes" or start != str(have):
        raise http.client.HTTPException(f"asked for bytes from {have:,}, got {headers.get('Content-Range')!r}")
    return have, int(total) if total.isdigit() else None


def _tag(headers: Message) -> str | None:
    """What tells this version of the file from others; a weak ETag does not."""
    tag = headers.get("ETag")
    return tag if tag and not tag.startswith("W/") else headers.get("Last-Modified")


def _need_space(part: _Part, total: int | None, start: int) -> None:
    free = shutil.disk_usage(part.path.parent).free
    if total is not None and total - start + _SPARE > free:
        raise DownloadError(
            f"{total - start:,} bytes are to come and {free:,} are free in {shown(part.path.parent)}: make space"
        )


def _copy(answer: Any, part: _Part, start: int, progress: Progress | None) -> None:
    with open(part.path, "r+b" if start else "wb") as file:
        file.seek(start)
        done = start
        while block := answer.read(_BLOCK):
            file.write(block)
            done += len(block)
            if progress is not None:
                progress(done, part.total)
        file.flush()
        os.fsync(file.fileno())


def sha256_of(path: Path) -> str:
    """The sha256 of a file, read in blocks."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _finish(download: Download, part: _Part, target: Path) -> Fetched:
    digest = sha256_of(part.path)
    if download.sha256 is not None and digest != download.sha256:
        part.note.unlink(missing_ok=True)  # the next call begins again
        raise DownloadError(
            f"{download.url}: what came has the sha256 {digest}, expected {download.sha256} ({download.sha256_from}); "
            f"it lies at {shown(part.path)} for you to look at, and is not used"
        )
    with atomic_write(target.with_name(target.name + ".sha256")) as file:
        file.write(f"{digest}  {target.name}\n".encode())
    os.replace(part.path, target)
    part.note.unlink(missing_ok=True)
    return Fetched(target, digest, checked=download.sha256 is not None)

"""Downloads from a server of our own on 127.0.0.1 that cuts connections, changes files and says no."""

from __future__ import annotations

import hashlib
import http.server
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from agewise_lab.datasets import download as module
from agewise_lab.datasets.base import Download
from agewise_lab.datasets.download import DownloadError, _NoDowngrade, fetch, sha256_of

DATA = bytes(range(256)) * 8192  # 2 MiB
SHA256 = hashlib.sha256(DATA).hexdigest()


class Server(http.server.BaseHTTPRequestHandler):
    """Serves `data` at /a.bin with ranges; `cuts` says after how many bytes each answer in turn breaks off."""

    data: ClassVar[bytes]
    tag: ClassVar[str | None]
    cuts: ClassVar[list[int | None]]
    ranges: ClassVar[list[str | None]]
    statuses: ClassVar[list[int]]
    known_length: ClassVar[bool]
    honours_ranges: ClassVar[bool]

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        type(self).ranges.append(asked)
        if self.statuses:
            self.send_error(type(self).statuses.pop(0))
            return
        if self.path != "/a.bin":
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(b"<html>please accept our terms</html>")
            return
        start = 0
        if asked is not None and self.honours_ranges and self.headers.get("If-Range") == self.tag:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            if start >= len(self.data):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(self.data)}")
                self.end_headers()
                return
        self._answer(self.data[start:], start)

    def _answer(self, body: bytes, start: int) -> None:
        self.send_response(206 if start else 200)
        self.send_header("Content-Type", "application/octet-stream")
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(self.data) - 1}/{len(self.data)}")
        if self.tag is not None:
            self.send_header("ETag", self.tag)
        if self.known_length:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        cut = type(self).cuts.pop(0) if self.cuts else None
        self.wfile.write(body if cut is None else body[:cut])

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's name
        pass


@pytest.fixture
def url() -> Iterator[str]:
    Server.data, Server.tag, Server.cuts, Server.ranges, Server.statuses = DATA, '"v1"', [], [], []
    Server.known_length = Server.honours_ranges = True
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def _file(url: str, sha256: str | None = SHA256, path: str = "/a.bin") -> Download:
    return Download(file="a.bin", url=url + path, sha256=sha256, sha256_from="a test" if sha256 else "")


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_fetched_checked_and_recorded(url: str, tmp_path: Path) -> None:
    told: list[tuple[int, int | None]] = []
    done = fetch(_file(url), tmp_path, progress=lambda have, total: told.append((have, total)))
    assert (done.path, done.sha256, done.checked, done.was_there) == (tmp_path / "a.bin", SHA256, True, False)
    assert done.path.read_bytes() == DATA
    assert told == [(1 << 20, len(DATA)), (2 << 20, len(DATA))]
    assert (tmp_path / "a.bin.sha256").read_text() == f"{SHA256}  a.bin\n"
    assert _names(tmp_path) == ["a.bin", "a.bin.sha256"]


def test_what_nobody_vouches_for_is_recorded_and_not_called_checked(url: str, tmp_path: Path) -> None:
    done = fetch(_file(url, sha256=None), tmp_path)
    assert (done.sha256, done.checked) == (SHA256, False)


def test_a_broken_connection_goes_on_where_it_broke(url: str, tmp_path: Path) -> None:
    Server.cuts = [1_000_000, 500_000]
    assert fetch(_file(url), tmp_path, pause_s=0).path.read_bytes() == DATA
    assert Server.ranges == [None, "bytes=1000000-", "bytes=1500000-"]


def test_another_call_goes_on_too(url: str, tmp_path: Path) -> None:
    Server.cuts = [700_000, 0]
    with pytest.raises(DownloadError, match=r"700,000 bytes are kept, the same command goes on from there"):
        fetch(_file(url), tmp_path, attempts=1, pause_s=0)
    assert _names(tmp_path) == [".agewise-a.bin.part", ".agewise-a.bin.part.json"]
    assert fetch(_file(url), tmp_path).path.read_bytes() == DATA
    assert Server.ranges[-1] == "bytes=700000-"


def test_a_call_stopped_by_hand_goes_on_too(url: str, tmp_path: Path) -> None:
    def stop(have: int, total: int | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(_file(url), tmp_path, progress=stop)
    fetch(_file(url), tmp_path)
    assert Server.ranges == [None, f"bytes={1 << 20}-"]


def test_a_file_that_changed_meanwhile_is_fetched_whole(url: str, tmp_path: Path) -> None:
    Server.cuts = [700_000]
    with pytest.raises(DownloadError):
        fetch(_file(url), tmp_path, attempts=0, pause_s=0)
    Server.data, Server.tag = DATA[::-1], '"v2"'
    assert fetch(_file(url, sha256=None), tmp_path).path.read_bytes() == DATA[::-1]


@pytest.mark.parametrize(("tag", "ranges"), [(None, True), ('W/"weak"', True), ('"v1"', False)])
def test_a_server_that_cannot_go_on_is_asked_for_all(url: str, tmp_path: Path, tag: str | None, ranges: bool) -> None:
    Server.tag, Server.honours_ranges, Server.cuts = tag, ranges, [700_000]
    assert fetch(_file(url), tmp_path, pause_s=0).path.read_bytes() == DATA
    assert Server.ranges == [None, "bytes=700000-" if tag == '"v1"' else None], "nothing tells whether it changed"


def test_the_part_of_another_address_is_not_used(url: str, tmp_path: Path) -> None:
    (tmp_path / ".agewise-a.bin.part").write_bytes(b"x" * 100)
    note = {"url": "http://elsewhere/a.bin", "tag": '"v1"', "total": len(DATA)}
    (tmp_path / ".agewise-a.bin.part.json").write_text(json.dumps(note))
    assert fetch(_file(url), tmp_path).path.read_bytes() == DATA
    assert Server.ranges == [None]


def test_a_part_longer_than_the_file_is_given_up(url: str, tmp_path: Path) -> None:
    (tmp_path / ".agewise-a.bin.part").write_bytes(DATA + b"more")
    (tmp_path / ".agewise-a.bin.part.json").write_text(json.dumps({"url": url + "/a.bin", "tag": '"v1"'}))
    assert fetch(_file(url), tmp_path, pause_s=0).path.read_bytes() == DATA


def test_a_part_that_is_whole_needs_no_server(tmp_path: Path) -> None:
    (tmp_path / ".agewise-a.bin.part").write_bytes(DATA)
    note = {"url": "http://127.0.0.1:9/a.bin", "tag": '"v1"', "total": len(DATA)}
    (tmp_path / ".agewise-a.bin.part.json").write_text(json.dumps(note))
    assert fetch(_file("http://127.0.0.1:9"), tmp_path).checked


def test_another_checksum_is_no_download(url: str, tmp_path: Path) -> None:
    message = f"what came has the sha256 {SHA256}, expected {'0' * 64} (a test); it lies at"
    with pytest.raises(DownloadError, match=re.escape(message)):
        fetch(_file(url, sha256="0" * 64), tmp_path)
    assert _names(tmp_path) == [".agewise-a.bin.part"]
    assert fetch(_file(url), tmp_path).checked, "the next call begins again"
    assert Server.ranges == [None, None]


def test_a_file_that_is_there_is_looked_at_not_fetched(url: str, tmp_path: Path) -> None:
    fetch(_file(url), tmp_path)
    assert fetch(_file(url), tmp_path).was_there
    assert len(Server.ranges) == 1
    (tmp_path / "a.bin").write_bytes(b"other")
    with pytest.raises(DownloadError, match=rf"a\.bin is there with the sha256 .*, expected {SHA256} \(a test\)"):
        fetch(_file(url), tmp_path)
    with pytest.raises(DownloadError, match=rf"has changed since it was fetched: its sha256 was {SHA256}"):
        fetch(_file(url, sha256=None), tmp_path)


@pytest.mark.parametrize(
    ("statuses", "attempts", "message"),
    [
        ([404], 5, r"the server says 404 Not Found: see the data set's page"),
        ([403], 5, r"the server says 403 Forbidden"),
        ([503] * 3, 3, r"HTTP Error 503|Service Unavailable"),
    ],
)
def test_a_server_that_says_no(url: str, tmp_path: Path, statuses: list[int], attempts: int, message: str) -> None:
    Server.statuses = list(statuses)
    with pytest.raises(DownloadError, match=message):
        fetch(_file(url), tmp_path, attempts=attempts, pause_s=0)
    assert len(Server.ranges) == len(statuses)


def test_a_server_that_is_busy_for_a_while(url: str, tmp_path: Path) -> None:
    Server.statuses = [503, 429, 500]
    assert fetch(_file(url), tmp_path, pause_s=0).checked


def test_a_page_is_no_file(url: str, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=r"gave a page instead of a file: look at it in a browser"):
        fetch(_file(url, path="/terms"), tmp_path)
    assert _names(tmp_path) == []


def test_a_length_that_nobody_states(url: str, tmp_path: Path) -> None:
    Server.known_length = False
    assert fetch(_file(url), tmp_path).path.read_bytes() == DATA


def test_nobody_answers(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=r"^http://127\.0\.0\.1:9/a\.bin: .*refused.*; 0 bytes are kept"):
        fetch(_file("http://127.0.0.1:9"), tmp_path, attempts=2, pause_s=0)


def test_a_full_disk_is_noticed_before(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.shutil, "disk_usage", lambda folder: module.shutil._ntuple_diskusage(100, 50, 50))
    with pytest.raises(DownloadError, match=r"2,097,152 bytes are to come and 50 are free in .*: make space"):
        fetch(_file(url), tmp_path)


def test_encryption_is_not_given_up() -> None:
    import urllib.request
    from email.message import Message

    handler, request = _NoDowngrade(), urllib.request.Request("https://a/b")
    with pytest.raises(DownloadError, match=r"https://a/b leads to http://a/c, which is not encrypted: not followed"):
        handler.redirect_request(request, None, 302, "Found", Message(), "http://a/c")  # type: ignore[arg-type]
    assert handler.redirect_request(request, None, 302, "Found", Message(), "https://a/c") is not None  # type: ignore[arg-type]


def test_sha256_of(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert sha256_of(tmp_path / "empty") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

import agewise.sinks.spool
from agewise.errors import OutputError
from agewise.sinks import Record
from agewise.sinks.spool import Spool

MakeRecord = Callable[..., Record]


def frames(spool: Spool, most: int = 100) -> list[int | None]:
    return [record.frame for record in spool.first(most)[0]]


def test_first_in_first_out(tmp_path: Path, make: MakeRecord) -> None:
    spool = Spool(tmp_path / "spool")
    assert [spool.append(make(frame)) for frame in range(5)] == [1, 2, 3, 4, 5]
    records, end = spool.first(2)
    assert [record.frame for record in records] == [0, 1]
    assert frames(spool, 2) == [0, 1], "looking takes nothing"
    spool.mark(end, 2)
    assert (frames(spool), spool.waiting) == ([2, 3, 4], 3)
    spool.mark(spool.first(9)[1], 3)
    assert (frames(spool), spool.waiting, (tmp_path / "spool").stat().st_size) == ([], 0, 0)
    spool.close()
    assert list(tmp_path.iterdir()) == []


def test_what_waits_outlives_the_process(tmp_path: Path, make: MakeRecord) -> None:
    spool = Spool(tmp_path / "deep" / "spool")
    for frame in range(5):
        spool.append(make(frame))
    spool.mark(spool.first(2)[1], 2)
    spool.append(make(5))
    spool.close()
    again = Spool(tmp_path / "deep" / "spool")
    assert (frames(again), again.waiting, again.torn) == ([2, 3, 4, 5], 4, 0)
    assert again.path.stat().st_mode & 0o077 == 0, "its owner's alone"
    again.close()


@pytest.mark.parametrize("cut", [1, 30])
def test_a_torn_line_hides_no_other(tmp_path: Path, make: MakeRecord, cut: int) -> None:
    path = tmp_path / "spool"
    spool = Spool(path)
    spool.append(make(0))
    spool.append(make(1))
    spool.close()
    os.truncate(path, path.stat().st_size - cut)
    again = Spool(path)
    again.append(make(2))
    assert frames(again) == ([0, 1, 2] if cut == 1 else [0, 2])
    assert again.torn == (cut != 1)
    again.mark(again.first(9)[1], again.waiting)
    assert again.waiting == 0
    again.close()


def test_a_mark_that_cannot_be_is_ignored(tmp_path: Path, make: MakeRecord) -> None:
    path = tmp_path / "spool"
    spool = Spool(path)
    spool.append(make(0))
    spool.close()
    with path.open("ab") as file:
        file.write(json.dumps({"delivered": 10**9}).encode() + b'\n{"delivered": 12')
    again = Spool(path)
    assert frames(again) == [0]
    again.close()


def test_a_long_delivered_part_is_dropped(tmp_path: Path, make: MakeRecord, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agewise.sinks.spool, "_DROP_BYTES", 4_000)
    path = tmp_path / "spool"
    spool = Spool(path)
    for frame in range(20):
        spool.append(make(frame))
    for _ in range(3):
        spool.mark(spool.first(3)[1], 3)
    assert path.stat().st_size < 7_000
    spool.append(make(20))
    assert frames(spool) == list(range(9, 21))
    spool.close()
    again = Spool(path)
    assert frames(again) == list(range(9, 21))
    again.close()


def test_two_writers_share_no_file_and_lose_nothing(tmp_path: Path, make: MakeRecord) -> None:
    first, second = Spool(tmp_path / "spool"), Spool(tmp_path / "spool")
    assert (first.path.name, second.path.name) == ("spool", "spool.2")
    first.append(make(0))
    second.append(make(1))
    second.close()
    first.close()
    again = Spool(tmp_path / "spool")
    assert frames(again) == [0, 1], "what the second left is taken over"
    assert [path.name for path in tmp_path.iterdir()] == ["spool"]
    again.close()


def test_a_full_disk_leaves_the_spool_as_it_was(
    tmp_path: Path, make: MakeRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path / "spool")
    spool.append(make(0))
    before = spool.path.read_bytes()

    def half(descriptor: int, data: bytes) -> None:
        os.write(descriptor, data[: len(data) // 2])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(agewise.sinks.spool, "write_all", half)
        with pytest.raises(OSError, match="No space left"):
            spool.append(make(1))
        assert spool.path.read_bytes() == before
    spool.append(make(2))
    assert frames(spool) == [0, 2]
    spool.close()


def test_a_spool_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot keep records in"):
        Spool(tmp_path / "file" / "spool")

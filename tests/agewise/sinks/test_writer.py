"""Nothing is lost: by a sink that is down, by kill -9, by a full disk; and the frame path never waits."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import agewise
from agewise.errors import OutputError
from agewise.sinks import Record, RecordWriter, read_records
from agewise.sinks.record import from_line, to_line
from agewise.sinks.writer import default_spool

MakeRecord = Callable[..., Record]
FAST = {"flush_seconds": 0.02, "most_wait_seconds": 0.05}


@pytest.fixture(autouse=True)
def _fast_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agewise.sinks.writer._FIRST_WAIT_SECONDS", 0.02)


def test_records_go_in_batches(tmp_path: Path, make: MakeRecord, planned: Any) -> None:
    records = [make(frame) for frame in range(25)]
    with RecordWriter(planned, spool=tmp_path / "spool", batch_size=10, flush_seconds=30) as writer:
        for record in records:
            writer.put(record)
    assert planned.records == records
    assert [len(batch) for batch in planned.batches] == [10, 10, 5]
    assert planned.closed
    assert list(tmp_path.iterdir()) == [], "an empty spool is removed"
    status = writer.close()
    assert (status.delivered, status.waiting, status.lost, status.problem) == (25, 0, 0, None)
    assert str(status) == "25 records delivered"
    with pytest.raises(ValueError, match="closed"):
        writer.put(records[0])


def test_a_lone_record_does_not_wait_for_others(tmp_path: Path, make: MakeRecord, planned: Any, until: Any) -> None:
    writer = RecordWriter(planned, spool=tmp_path / "spool", flush_seconds=0.05)
    for frame in range(3):
        writer.put(make(frame))
        until(lambda frame=frame: len(planned.records) == frame + 1, 5)
    writer.close()


def test_a_sink_that_refuses_is_tried_again(tmp_path: Path, make: MakeRecord, planned: Any, until: Any) -> None:
    told: list[str] = []
    planned.refuses = True
    writer = RecordWriter(planned, spool=tmp_path / "spool", on_problem=told.append, **FAST)
    writer.put(make(0))
    until(lambda: len(planned.tries) >= 3)
    writer.put(make(1))
    status = writer.status()
    assert (status.delivered, status.waiting) == (0, 2)
    assert status.failures >= 3
    planned.refuses = False
    until(lambda: writer.status().delivered == 2)
    writer.close()
    assert [record.frame for record in planned.records] == [0, 1]
    assert len({tuple(keys) for keys in planned.tries[: status.failures]}) == 1, "the same batch each time"
    assert told == [
        f"cannot write to the planned sink: refused; records wait in {tmp_path / 'spool'}, trying again",
        "PlannedSink takes records again",
    ]


def test_tries_become_rarer(tmp_path: Path, make: MakeRecord, planned: Any, until: Any) -> None:
    times: list[float] = []
    write = planned.write
    planned.write = lambda records: (times.append(time.monotonic()), write(records))
    planned.refuses = True
    writer = RecordWriter(planned, spool=tmp_path / "spool", flush_seconds=0, most_wait_seconds=0.3, on_problem=str)
    writer.put(make(0))
    until(lambda: len(times) >= 7)
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert all(gap >= least for gap, least in zip(gaps, (0.02, 0.04, 0.08, 0.16, 0.3, 0.3), strict=False)), gaps
    planned.refuses = False
    writer.close()
    assert [record.frame for record in planned.records] == [0]


def test_what_a_run_could_not_send_the_next_one_does(tmp_path: Path, make: MakeRecord, planned: Any) -> None:
    planned.refuses = True
    writer = RecordWriter(planned, spool=tmp_path / "spool", on_problem=str, **FAST)
    for frame in range(7):
        writer.put(make(frame))
    status = writer.close(timeout_seconds=0.2)
    assert (status.delivered, status.waiting, status.lost) == (0, 7, 0)
    assert f"7 wait in {tmp_path / 'spool'}, for the next run" in str(status)
    planned.refuses = False
    with RecordWriter(planned, spool=tmp_path / "spool", **FAST) as writer:
        writer.put(make(7))
    assert [record.frame for record in planned.records] == list(range(8))
    assert writer.status().delivered == 8


def test_a_sink_that_hangs_does_not_hold_anybody(tmp_path: Path, make: MakeRecord, planned: Any, until: Any) -> None:
    entered: list[int] = []

    def hang(records: object) -> None:
        entered.append(1)
        time.sleep(1.5)
        raise OutputError("late")

    planned.write = hang
    writer = RecordWriter(planned, spool=tmp_path / "spool", on_problem=str, **FAST)
    writer.put(make(0))
    until(lambda: bool(entered))
    begin = time.monotonic()
    for frame in range(1, 300):
        writer.put(make(frame))
    status = writer.close(timeout_seconds=0.1)
    assert time.monotonic() - begin < 1.2
    assert (status.waiting, status.problem) == (300, "PlannedSink does not answer")


# ---------------------------------------------------------------- kill -9

CHILD = """
import sys
sys.path.insert(0, sys.argv[1])
from agewise.sinks import RecordWriter
from agewise.sinks.record import from_line
writer = RecordWriter(sys.argv[2], spool=sys.argv[3], batch_size=20, flush_seconds=0.01, on_problem=str)
for line in sys.stdin.buffer:
    record = from_line(line)
    writer.put(record)
    sys.stdout.write(f"{record.frame}\\n")
    sys.stdout.flush()
"""


@pytest.mark.parametrize("after", [1, 150, 400])
@pytest.mark.parametrize("target", ["records.jsonl", "sqlite"])
def test_kill_loses_no_record_that_was_put(tmp_path: Path, make: MakeRecord, target: str, after: int) -> None:
    if target == "sqlite":
        pytest.importorskip("sqlalchemy")
    place = f"sqlite:///{tmp_path}/faces.db" if target == "sqlite" else str(tmp_path / target)
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(Path(agewise.__file__).parents[1]), place, str(tmp_path / "spool")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    put: list[int] = []
    for frame in range(after):
        child.stdin.write(to_line(make(frame)))
        child.stdin.flush()
        put.append(int(child.stdout.readline()))
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdin.close()
    child.stdout.close()
    with RecordWriter(place, spool=tmp_path / "spool") as writer:
        writer.put(make(after))
    assert writer.status().waiting == 0
    assert sorted(_frames(tmp_path, target)) == [*put, after], "each once"


def _frames(folder: Path, target: str) -> Iterator[int]:
    if target == "sqlite":
        with closing(sqlite3.connect(folder / "faces.db")) as connection:
            yield from (row[0] for row in connection.execute("SELECT frame FROM agewise_records"))
    else:
        yield from (record.frame for record in read_records(folder / target) if record.frame is not None)


# ---------------------------------------------------------------- servers that go away


def test_postgres_that_goes_away_and_comes_back(
    postgres_server: Any, tmp_path: Path, make: MakeRecord, until: Any
) -> None:
    import sqlalchemy

    told: list[str] = []
    with RecordWriter(postgres_server.url, spool=tmp_path / "spool", on_problem=told.append, **FAST) as writer:
        writer.put(make(0))
        until(lambda: writer.status().delivered == 1)
        postgres_server.stop()
        try:
            for frame in range(1, 50):
                writer.put(make(frame))
            until(lambda: writer.status().failures >= 2)
            assert writer.status().waiting == 49
        finally:
            postgres_server.start()
    assert writer.status().delivered == 50
    assert "pa%40ss" not in "".join(told)
    assert "pa@ss" not in "".join(told)
    assert told[-1].endswith("takes records again")
    engine = sqlalchemy.create_engine(postgres_server.url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.connect() as connection:
        rows = connection.execute(sqlalchemy.text("SELECT frame FROM agewise_records ORDER BY frame"))
        assert [row[0] for row in rows] == list(range(50))
    engine.dispose()


def test_s3_that_goes_away_and_comes_back(s3: Any, tmp_path: Path, make: MakeRecord, until: Any) -> None:
    told: list[str] = []
    s3.stop()
    try:
        writer = RecordWriter(
            "s3://faces/again", spool=tmp_path / "spool", endpoint=s3.endpoint, on_problem=told.append, **FAST
        )
        for frame in range(30):
            writer.put(make(frame))
        until(lambda: writer.status().failures >= 1, 30)
    finally:
        s3.start()
    status = writer.close(timeout_seconds=30)
    assert (status.delivered, status.waiting, status.lost) == (30, 0, 0)
    assert "cannot write to s3://faces/again" in told[0]
    found = s3.client().list_objects_v2(Bucket="faces", Prefix="again/")["Contents"]
    bodies = [s3.client().get_object(Bucket="faces", Key=entry["Key"])["Body"].read() for entry in found]
    assert sorted(from_line(line).frame for body in bodies for line in body.splitlines()) == list(range(30))


# ---------------------------------------------------------------- full disks


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    if mount is None or os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    command = [mount, "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"cannot mount a small disk: {done.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_under_the_spool_loses_nothing(
    small_disk: Path, make: MakeRecord, planned: Any, until: Any
) -> None:
    """The sink is down until the disk is full; then records wait in memory; then the sink comes back."""
    told: list[str] = []
    planned.refuses = True
    writer = RecordWriter(planned, spool=small_disk / "spool", on_problem=told.append, **FAST)
    for frame in range(300):
        writer.put(make(frame))
    status = writer.status()
    assert status.held > 100
    assert (status.waiting + status.held, status.lost) == (300, 0)
    assert any("No space left on device); records wait in memory" in text for text in told)
    planned.refuses = False
    until(lambda: writer.status().delivered == 300)
    assert writer.close().problem is None
    assert {record.frame for record in planned.records} == set(range(300))
    assert told[-1] == "PlannedSink takes records again"


def test_what_finds_no_room_anywhere_is_counted(small_disk: Path, make: MakeRecord, planned: Any) -> None:
    told: list[str] = []
    planned.refuses = True
    writer = RecordWriter(planned, spool=small_disk / "spool", queue_size=10, on_problem=told.append, **FAST)
    for frame in range(300):
        writer.put(make(frame))
    status = writer.status()
    assert status.held == 10
    assert status.waiting + status.held + status.lost == 300
    assert any("records are lost" in text for text in told)
    status = writer.close(timeout_seconds=0.1)
    assert (status.held, status.waiting + status.lost) == (0, 300)
    assert f"{status.lost} are lost" in str(status)
    planned.refuses = False
    with RecordWriter(planned, spool=small_disk / "spool", **FAST) as writer:
        pass
    assert len(planned.records) == status.waiting


def test_a_full_disk_under_the_target_loses_nothing(
    small_disk: Path, tmp_path: Path, make: MakeRecord, until: Any
) -> None:
    blocker = small_disk / "blocker"
    blocker.write_bytes(b"x" * 60_000)
    told: list[str] = []
    writer = RecordWriter(str(small_disk / "records.jsonl"), spool=tmp_path / "spool", on_problem=told.append, **FAST)
    for frame in range(60):
        writer.put(make(frame))
    until(lambda: writer.status().failures >= 1)
    assert "No space left on device" in told[0]
    blocker.unlink()
    until(lambda: writer.status().delivered == 60)
    writer.close()
    assert [record.frame for record in read_records(small_disk / "records.jsonl")] == list(range(60))


# ---------------------------------------------------------------- where the spool is


def test_where_records_wait(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert default_spool("out/records.csv") == Path("out/.records.csv.spool")
    one = default_spool("postgresql://ann:old@host/db")
    assert one == default_spool("postgresql://ann:new@host/db")
    assert one != default_spool("postgresql://ann:old@host/other")
    assert one.parent == tmp_path / "agewise"
    assert "old" not in one.name


def test_a_sink_of_ones_own_needs_a_spool(planned: Any) -> None:
    with pytest.raises(ValueError, match="spool=PATH"):
        RecordWriter(planned)


def test_putting_is_quick_while_the_sink_is_down(tmp_path: Path, make: MakeRecord, planned: Any) -> None:
    planned.refuses = True
    writer = RecordWriter(planned, spool=tmp_path / "spool", on_problem=str, **FAST)
    record, times = make(0), []
    for _ in range(500):
        begin = time.perf_counter()
        writer.put(record)
        times.append(time.perf_counter() - begin)
    writer.close(timeout_seconds=0)
    assert sorted(times)[250] < 0.005, "a frame at 60 a second has 16 ms"
    assert len([json.loads(line) for line in (tmp_path / "spool").read_bytes().splitlines()]) == 500


def test_whatever_a_sink_raises_it_is_tried_again(tmp_path: Path, make: MakeRecord, planned: Any, until: Any) -> None:
    told: list[str] = []
    write = planned.write

    def odd(records: object) -> None:
        planned.write = write
        raise KeyError("odd")

    planned.write = odd
    with RecordWriter(planned, spool=tmp_path / "spool", on_problem=told.append, **FAST) as writer:
        writer.put(make(0))
        until(lambda: writer.status().delivered == 1)
    assert told[0].startswith("unexpected KeyError: 'odd'; records wait")

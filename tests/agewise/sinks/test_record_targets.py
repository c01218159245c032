"""Every target reads back what was sent, once; what is down is said, without its password."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import resource
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from agewise.errors import MissingExtraError, OutputError
from agewise.sinks import RECORD_COLUMNS, Record, open_record_sink, read_records
from agewise.sinks.record import from_line, from_row
from agewise.sinks.targets import masked

MakeRecord = Callable[..., Record]


def needs(package: str, extra: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(importlib.util.find_spec(package) is None, reason=f"the extra {extra}")


FILES = ["jsonl", "csv", pytest.param("parquet", marks=needs("pyarrow", "parquet"))]
needs_db = needs("sqlalchemy", "db")
needs_fsspec = needs("fsspec", "s3")


def send(target: str | Path, *batches: list[Record], **options: Any) -> None:
    with closing(open_record_sink(str(target), **options)) as sink:
        for batch in batches:
            sink.write(batch)


# ---------------------------------------------------------------- files


@pytest.mark.parametrize("suffix", FILES)
def test_files_read_back_and_are_added_to(tmp_path: Path, make: MakeRecord, suffix: str) -> None:
    path, records = tmp_path / f"records.{suffix}", [make(frame) for frame in range(6)]
    send(path, records[:2], records[2:4])
    assert list(read_records(path)) == records[:4]
    send(path, records[2:])
    assert list(read_records(path)) == records, "duplicates are harmless"


def test_a_csv_file_has_one_heading(tmp_path: Path, make: MakeRecord) -> None:
    path = tmp_path / "records.CSV"
    send(path, [make(0)])
    send(path, [make(1)])
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == list(RECORD_COLUMNS)
    assert [row[3] for row in rows[1:]] == ["0", "1"]
    assert [row[16] for row in rows[1:]] == ["true", "false"]


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_a_row_that_a_crash_tore_is_cut_off(tmp_path: Path, make: MakeRecord, suffix: str) -> None:
    path = tmp_path / f"records.{suffix}"
    send(path, [make(0), make(1)])
    os.truncate(path, path.stat().st_size - 30)
    send(path, [make(2)])
    assert [record.frame for record in read_records(path)] == [0, 2]


def test_a_whole_line_without_its_end_stays(tmp_path: Path, make: MakeRecord) -> None:
    path = tmp_path / "records.jsonl"
    send(path, [make(0), make(1)])
    os.truncate(path, path.stat().st_size - 1)
    send(path, [make(2)])
    assert [record.frame for record in read_records(path)] == [0, 1, 2]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_a_full_disk_is_said(tmp_path: Path, make: MakeRecord, suffix: str) -> None:
    path = tmp_path / f"records.{suffix}"
    path.symlink_to("/dev/full")
    with pytest.raises(OutputError, match=f"cannot write .*records.{suffix}: No space left"):
        send(path, [make(0)])


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_a_batch_is_written_whole_or_not_at_all(tmp_path: Path, make: MakeRecord, suffix: str) -> None:
    """A limit on the size of files stands in for a disk that fills in the middle of a batch."""
    path = tmp_path / f"records.{suffix}"
    send(path, [make(0)])
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 700, limits[1]))
    try:
        with pytest.raises(OutputError, match="File too large"):
            send(path, [make(frame) for frame in range(1, 9)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before


@needs("pyarrow", "parquet")
def test_a_parquet_file_of_something_else_is_left_alone(tmp_path: Path, make: MakeRecord) -> None:
    import pyarrow
    from pyarrow import parquet

    path = tmp_path / "other.parquet"
    parquet.write_table(pyarrow.table({"a": [1]}), path)
    before = path.read_bytes()
    with pytest.raises(OutputError, match="no Parquet file of records"):
        send(path, [make(0)])
    path.with_name("text.parquet").write_text("text")
    with pytest.raises(OutputError, match="no Parquet file of records"):
        send(path.with_name("text.parquet"), [make(0)])
    assert path.read_bytes() == before


# ---------------------------------------------------------------- databases


@needs_db
def test_sqlite_reads_back_each_key_once(tmp_path: Path, make: MakeRecord) -> None:
    records = [make(frame) for frame in range(5)]
    send(f"sqlite:///{tmp_path}/faces.db", records[:3], records[2:])
    send(f"sqlite:///{tmp_path}/faces.db", records, [], table="agewise_records")
    with closing(sqlite3.connect(tmp_path / "faces.db")) as connection:
        connection.row_factory = sqlite3.Row
        rows = [dict(row) for row in connection.execute("SELECT * FROM agewise_records ORDER BY frame")]
    assert list(rows[0]) == list(RECORD_COLUMNS)
    back = [
        from_row(row | {"time": f"{row['time']}+00:00".replace(" ", "T"), "answered": bool(row["answered"])})
        for row in rows
    ]
    assert back == records


@needs_db
def test_a_database_that_cannot_be_written(tmp_path: Path, make: MakeRecord) -> None:
    with pytest.raises(OutputError, match="cannot write to sqlite:///.*unable to open database file"):
        send(f"sqlite:///{tmp_path}/nowhere/faces.db", [make(0)])
    with closing(sqlite3.connect(tmp_path / "other.db")) as connection:
        connection.execute("CREATE TABLE agewise_records (a INTEGER)")
    with pytest.raises(OutputError, match=r"agewise_records|conflict|column"):
        send(f"sqlite:///{tmp_path}/other.db", [make(0)])


def test_postgres_reads_back_each_key_once(postgres_server: Any, make: MakeRecord) -> None:
    import sqlalchemy

    records = [make(frame) for frame in range(5)]
    send(postgres_server.url, records[:3], records[2:], table="back")
    send(postgres_server.url.replace("postgresql:", "postgresql+psycopg:"), records, table="back")
    engine = sqlalchemy.create_engine(postgres_server.url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.connect() as connection:
        rows = list(connection.execute(sqlalchemy.text("SELECT * FROM back ORDER BY frame")).mappings())
    engine.dispose()
    assert [from_row({**row, "time": row["time"].isoformat()}) for row in rows] == records


def test_no_password_of_postgres_is_told(postgres_server: Any, make: MakeRecord) -> None:
    wrong = postgres_server.url.replace("pa%40ss-w0rd", "wr%40ng-w0rd")
    with pytest.raises(OutputError, match="password authentication failed") as caught:
        send(wrong, [make(0)])
    told = str(caught.value)
    assert "agewise:***@127.0.0.1" in told
    assert "wr%40ng" not in told
    assert "wr@ng" not in told
    assert caught.value.__suppress_context__, "a traceback would show the driver's own text"


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        ("postgresql://ann:pw@host/db", "postgresql://ann:***@host/db"),
        ("postgresql://ann:p@w:/@host/db", "postgresql://ann:***@host/db"),
        ("postgresql://ann@host/db", "postgresql://ann@host/db"),
        ("postgresql://host/db?user=a&password=b", "postgresql://host/db?user=a&password=***"),
        ("sqlite:///a.db", "sqlite:///a.db"),
        ("a:b@c.jsonl", "a:b@c.jsonl"),
    ],
)
def test_passwords_are_masked(target: str, shown: str) -> None:
    assert masked(target) == shown


# ---------------------------------------------------------------- object stores


@needs_fsspec
def test_a_batch_is_one_object_in_a_folder(tmp_path: Path, make: MakeRecord, noon: datetime) -> None:
    records = [make(frame, time=noon) for frame in range(4)]
    send(f"file://{tmp_path}/deep/records", records[:3], records[:3], records[3:])
    objects = sorted((tmp_path / "deep" / "records" / "2026-11-25").iterdir())
    assert len(objects) == 2, "the batch that was sent again took its own place"
    assert all(path.name.startswith("120000-") and path.suffix == ".jsonl" for path in objects)
    lines = [line for path in objects for line in path.read_bytes().splitlines()]
    assert {from_line(line) for line in lines} == set(records)


def test_s3_reads_back(s3: Any, make: MakeRecord, noon: datetime) -> None:
    records = [make(frame, time=noon) for frame in range(4)]
    send("s3://faces/back/", records[:3], records[:3], records[3:], endpoint=s3.endpoint)
    found = s3.client().list_objects_v2(Bucket="faces", Prefix="back/2026-11-25/")["Contents"]
    assert len(found) == 2
    bodies = [s3.client().get_object(Bucket="faces", Key=entry["Key"])["Body"].read() for entry in found]
    assert {from_line(line) for body in bodies for line in body.splitlines()} == set(records)
    for entry in found:
        grants = s3.client().get_object_acl(Bucket="faces", Key=entry["Key"])["Grants"]
        assert [grant["Grantee"]["Type"] for grant in grants] == ["CanonicalUser"], "its owner's alone"


def test_s3_takes_its_endpoint_from_the_environment(s3: Any, make: MakeRecord, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3.endpoint)
    send("s3://faces/environment", [make(0)])
    assert s3.client().list_objects_v2(Bucket="faces", Prefix="environment/")["KeyCount"] == 1


def test_s3_without_its_bucket(s3: Any, make: MakeRecord) -> None:
    with pytest.raises(OutputError, match="cannot write to s3://nobody/x: .*bucket"):
        send("s3://nobody/x", [make(0)], endpoint=s3.endpoint)
    assert "nobody" not in [bucket["Name"] for bucket in s3.client().list_buckets()["Buckets"]]


# ---------------------------------------------------------------- targets


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("records.xlsx", "cannot send records to records.xlsx: name a file that ends in .jsonl, .csv, .parquet"),
        ("ftp://host/records.jsonl", "ftp://host/records.jsonl: name a file"),
        ("https://ann:pw@host/x", r"https://ann:\*\*\*@host/x"),
        ("records", "name a file"),
        pytest.param("sqlite+aiosqlite:///x.db", "not supported", marks=needs_db),
        pytest.param("postgresql://ann:pw@host:port/x", r"ann:\*\*\*@host:port/x: not an address", marks=needs_db),
        pytest.param("s3://key:secret@bucket/x", "takes no credentials", marks=needs_fsspec),
        pytest.param("s3://", "name a bucket", marks=needs_fsspec),
    ],
)
def test_targets_that_cannot_be(target: str, message: str) -> None:
    with pytest.raises(OutputError, match=message) as caught:
        open_record_sink(target)
    assert "pw" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_an_endpoint_is_an_address(make: MakeRecord) -> None:
    pytest.importorskip("fsspec", reason="the extra s3")
    with pytest.raises(OutputError, match="starts with http"):
        open_record_sink("file:///tmp/x", endpoint="minio:9000")


@pytest.mark.parametrize(
    ("target", "package", "extra"),
    [
        ("sqlite:///x.db", "sqlalchemy", "db"),
        pytest.param("postgresql://h/x", "psycopg", "postgres", marks=needs_db),
        ("file:///x", "fsspec", "s3"),
        pytest.param("s3://x", "s3fs", "s3", marks=needs_fsspec),
        ("x.parquet", "pyarrow", "parquet"),
    ],
)
def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch, target: str, package: str, extra: str) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == package else find(name))
    with pytest.raises(MissingExtraError, match=rf"pip install 'agewise\[{extra}\]'"):
        open_record_sink(target)


@needs_fsspec
def test_other_stores_name_their_package(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in {"gcsfs", "adlfs"} else find(name))
    for target, package in (("gs://b/x", "gcsfs"), ("az://b/x", "adlfs")):
        with pytest.raises(OutputError, match=f"pip install {package}"):
            open_record_sink(target)


def test_nothing_is_touched_before_the_first_batch(tmp_path: Path) -> None:
    for name in ("a.jsonl", "b.csv"):
        open_record_sink(str(tmp_path / name)).close()
    assert list(tmp_path.iterdir()) == []


def test_reading_names_what_is_no_record(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text(json.dumps({"key": 1}) + "\n")
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    for name in ("x.jsonl", "x.csv"):
        with pytest.raises(ValueError, match="not a record"):
            list(read_records(tmp_path / name))
    with pytest.raises(ValueError, match="unknown suffix"):
        list(read_records(tmp_path / "x.txt"))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"name,age\nann,3\n", "another heading"),
        ("a.csv", b"name", "another heading"),
        ("a.jsonl", b"some text", "its last line is no record"),
    ],
)
def test_files_of_something_else_are_left_alone(
    tmp_path: Path, make: MakeRecord, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(OutputError, match=rf"cannot write .*{name}: .*{message}"):
        send(tmp_path / name, [make(0)])
    assert (tmp_path / name).read_bytes() == content


@needs_db
def test_a_database_must_last() -> None:
    for target in ("sqlite://", "sqlite:///:memory:"):
        with pytest.raises(OutputError, match="names no database that lasts"):
            open_record_sink(target)

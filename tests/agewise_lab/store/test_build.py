"""Building a database: what is in its files, what is dropped, and that a killed build goes on from where it was."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest

from agewise.errors import OutputError
from agewise.imaging import read_image
from agewise.types import Gender, UInt8Array
from agewise_lab.datasets.record import Record
from agewise_lab.datasets.utkface import read_records
from agewise_lab.store import shards
from agewise_lab.store.build import NO_BOX, build, build_from_arrays, framing_of
from agewise_lab.store.crops import open_store
from agewise_lab.store.database import read_faces, read_pictures, some_pictures
from agewise_lab.store.faces import Crops, Framing
from agewise_lab.store.manifest import Settings, locked, read_manifest, shard_path
from agewise_lab.store.schema import decode, encode


@pytest.fixture(scope="module")
def records(pictures: SimpleNamespace) -> tuple[Record, ...]:
    return read_records(pictures.root).records


def _content(folder: Path) -> dict[str, str]:
    """SHA-256 of all files that a finished build leaves, but caches and locks."""
    files = (path for path in folder.rglob("*") if path.is_file() and "lock" not in path.name)
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
        if "cache-" not in str(path)
    }


def _drops(folder: Path) -> dict[str, str]:
    """Reason by path."""
    return {row["path"]: row["reason"] for row in json.loads((folder / "drops.json").read_text())["rows"]}


# ---------------------------------------------------------------- what is in it


def test_the_files_of_a_database(tmp_path: Path, pictures: SimpleNamespace, records: tuple[Record, ...]) -> None:
    done = []
    report = build(
        records, pictures.root, tmp_path / "db", side=24, processes=1, shard_rows=20, progress=lambda *p: done.append(p)
    )
    names = sorted(str(path.relative_to(tmp_path / "db")) for path in (tmp_path / "db").rglob("*") if path.is_file())
    shards_made = [f"shards/part-0000{i}.parquet" for i in range(3)]
    assert names == [".lock", "database.json", "drops.json", "faces.parquet", *shards_made]
    assert done == [(0, 52), (20, 52), (40, 52), (52, 52)]
    assert report.shards_made == 3
    manifest = read_manifest(tmp_path / "db")
    assert manifest == report.manifest
    assert (manifest.complete, manifest.rows, manifest.found, manifest.records) == (True, 52, 1, 52)
    assert [shard.rows for shard in manifest.shards] == [20, 20, 12]
    for shard in manifest.shards:
        data = (tmp_path / "db" / "shards" / shard.file).read_bytes()
        assert hashlib.sha256(data).hexdigest() == shard.sha256


def test_pandas_and_arrow_read_it_without_us(store_folder: Path, pictures: SimpleNamespace) -> None:
    frame = pd.read_parquet(store_folder / "faces.parquet")
    assert len(frame) == 52
    row = frame.set_index("name").loc[pictures.face]
    assert (row["age_years"], row["gender"], row["found"], row["crop_side"]) == (41.0, "female", True, 40)
    assert len(row["face_box_xyxy"]) == 4
    assert len(row["face_landmarks_xy"]) == len(row["crop_landmarks_xy"]) == 10
    assert set(frame["gender"]) == {"female", "male"}
    assert frame["score"].isna().sum() == 51
    whole = pyarrow.dataset.dataset(store_folder / "shards").to_table(columns=["name", "whole"]).to_pandas()
    assert whole["name"].tolist() == frame["name"].tolist()
    assert all(data.startswith(b"\xff\xd8\xff") for data in whole["whole"])
    assert read_image(whole["whole"][0]).shape == (40, 40, 3)


def test_a_row_says_where_it_comes_from(store_folder: Path, pictures: SimpleNamespace) -> None:
    rows = {row["name"]: row for row in read_faces(store_folder).to_pylist()}
    row = rows[pictures.face]
    data = (pictures.root / pictures.face).read_bytes()
    assert row["source_sha256"] == hashlib.sha256(data).hexdigest()
    assert (row["source_width"], row["source_height"]) == (200, 200)
    # The chip was aligned by the template, so its face lies where the template says, in the crop as well.
    eyes = np.array(row["crop_landmarks_xy"]).reshape(5, 2)[:2] / 40
    assert np.abs(eyes - [[59.1 / 200, 56.7 / 200], [138.3 / 200, 56.6 / 200]]).max() < 0.03
    assert rows[pictures.twins[0]]["face_side_px"] == 64  # nothing found: the picture itself
    assert rows[pictures.face]["sharpness"] > rows[pictures.twins[0]]["sharpness"] > 0


def test_all_fields_of_a_record_are_kept(tmp_path: Path, clouds: Callable[..., UInt8Array]) -> None:
    record = Record(
        "a/b.png",
        None,
        None,
        group="East Asian",
        age_range_years=(25.0, 32.0),
        apparent_age_years=27.5,
        apparent_std_years=3.0,
        subject="n1",
        box_xyxy=(1.0, 2.0, 60.0, 61.0),
        landmarks_xy=np.arange(10.0).reshape(5, 2),
        split="fold 3",
        apparent_votes_years=(25.0, 30.0),
        face_score=4.5,
        second_face_score=1.5,
    )
    build_from_arrays([clouds(0)], [record], tmp_path / "db", dataset="own", side=32)
    (row,) = read_faces(tmp_path / "db").to_pylist()
    expected = {
        "name": "a/b.png",
        "dataset": "own",
        "age_years": None,
        "age_low_years": 25.0,
        "age_high_years": 32.0,
        "apparent_age_years": 27.5,
        "apparent_std_years": 3.0,
        "apparent_votes_years": [25.0, 30.0],
        "gender": None,
        "group": "East Asian",
        "subject": "n1",
        "official_split": "fold 3",
        "label_box_xyxy": [1.0, 2.0, 60.0, 61.0],
        "label_landmarks_xy": list(map(float, range(10))),
        "label_face_score": 4.5,
        "label_second_face_score": 1.5,
        "found": False,
        "score": None,
    }
    assert {name: row[name] for name in expected} == expected
    store = open_store(tmp_path / "db")
    assert np.isnan(store.age_years[0])
    assert np.isnan(store.is_female[0])
    assert (store.age_low_years[0], store.age_high_years[0], store.apparent_std_years[0]) == (25, 32, 3)
    assert (store.group[0], store.group_name[0], store.subject[0]) == (-1, "East Asian", "n1")
    assert store.official_split[0] == "fold 3"


def test_pictures_in_memory_are_stored_as_they_are(tmp_path: Path, clouds: Callable[..., UInt8Array]) -> None:
    images = [clouds(i, 32) for i in range(5)]
    records = [Record(f"{i}", float(i), Gender.MALE, dropped="bad" if i == 1 else None) for i in range(5)]
    build_from_arrays(images, records, tmp_path / "db", dataset="ssrnet", side=32, shard_rows=2)
    store = open_store(tmp_path / "db")
    assert store.name.tolist() == ["0", "2", "3", "4"]
    assert store.whole is store.aligned
    for i, picture in enumerate(store.whole):
        assert np.array_equal(picture, decode(encode(images[[0, 2, 3, 4][i]])))
    assert _drops(tmp_path / "db") == {"1": "bad"}
    with pytest.raises(ValueError, match="got 4 pictures and 5 records"):
        build_from_arrays(images[:4], records, tmp_path / "db2", dataset="x", side=32)


def test_some_pictures_are_found_in_any_shard(
    tmp_path: Path, pictures: SimpleNamespace, records: tuple[Record, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "_ROW_GROUP", 7)
    build(records, pictures.root, tmp_path / "db", side=16, crops="as-is", processes=1, shard_rows=20)
    every = [row["whole"] for row in read_pictures(tmp_path / "db", ["whole"])]
    assert len(every) == 52
    wanted = np.array([51, 0, 19, 20, 7, 7])
    assert some_pictures(tmp_path / "db", wanted, "whole") == [every[i] for i in wanted]


@pytest.mark.parametrize(("crops", "rows", "columns"), [("aligned", 1, {"aligned"}), ("as-is", 3, {"whole"})])
def test_one_kind_of_crop(
    tmp_path: Path,
    pictures: SimpleNamespace,
    records: tuple[Record, ...],
    crops: str,
    rows: int,
    columns: set[str],
    store_folder: Path,
) -> None:
    part = [record for record in records if record.path in (pictures.face, *pictures.twins)]
    build(part, pictures.root, tmp_path / "db", side=40, crops=crops, processes=1)  # type: ignore[arg-type]
    store, both = open_store(tmp_path / "db"), open_store(store_folder)
    assert len(store) == rows
    assert store.whole is store.aligned
    (column,) = columns
    same = [both.name.tolist().index(name) for name in store.name]
    assert np.array_equal(store.whole, getattr(both, column)[same])
    (cache,) = (tmp_path / "db").glob("cache-*")
    assert {path.stem for path in cache.iterdir()} == columns
    assert store.found.sum() == (crops == "aligned")


# ---------------------------------------------------------------- what is dropped


def test_what_cannot_be_stored_is_counted_and_named(
    tmp_path: Path, pictures: SimpleNamespace, clouds: Callable[..., UInt8Array]
) -> None:
    root = tmp_path / "Bilder für später"
    (root / "ein Ordner.jpg").mkdir(parents=True)
    good = pictures.twins[0]
    shutil.copy(pictures.root / good, root / "größe 1.jpg")
    (root / "cut.jpg").write_bytes((pictures.root / good).read_bytes()[:400])
    (root / "text.jpg").write_text("no picture")
    (root / "empty.jpg").touch()
    names = [
        "größe 1.jpg",
        "cut.jpg",
        "text.jpg",
        "empty.jpg",
        "gone.jpg",
        "ein Ordner.jpg",
        "text.jpg/x.jpg",
        "a\0b.jpg",
    ]
    records = [Record(name, 3.0, None) for name in names]
    records += [Record("said.jpg", None, None, dropped="the reader said so")]
    output = tmp_path / "Speicher mit Leerzeichen" / "größe"
    report = build(records, root, output, side=16, processes=1)
    assert report.manifest.rows == 1
    assert open_store(output).name.tolist() == ["größe 1.jpg"]
    decoded = "picture cannot be decoded"
    assert _drops(output) == {
        "said.jpg": "the reader said so",
        "cut.jpg": decoded,
        "text.jpg": decoded,
        "empty.jpg": decoded,
        "gone.jpg": "picture missing",
        "text.jpg/x.jpg": "picture missing",
        "ein Ordner.jpg": "file cannot be read",
        "a\0b.jpg": "file cannot be read",
    }
    assert report.manifest.dropped == {
        decoded: 3,
        "picture missing": 2,
        "file cannot be read": 2,
        "the reader said so": 1,
    }
    assert json.loads((output / "drops.json").read_text())["counts"] == report.manifest.dropped


def test_a_picture_of_too_many_pixels_is_dropped(
    tmp_path: Path, pictures: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "read_image", lambda data: read_image(data, max_pixels=64 * 64))
    records = [Record(name, 1.0, None) for name in (pictures.face, pictures.twins[0])]  # 200×200 and 64×64
    build(records, pictures.root, tmp_path / "db", side=16, processes=1)
    assert _drops(tmp_path / "db") == {pictures.face: "picture too large"}


@pytest.mark.parametrize("crops", ["both", "as-is"])
def test_faces_that_cannot_be_cut_are_dropped(
    tmp_path: Path, photo: UInt8Array, write_jpeg: Callable[..., None], crops: Crops
) -> None:
    write_jpeg(tmp_path / "a.jpg", photo)
    boxes = [(160, 60, 290, 210), (290, 60, 160, 210), (0, 0, 0, 0), (float("nan"), 0, 9, 9), (1e9, 1e9, 2e9, 2e9)]
    records = [Record("a.jpg", float(i), None, box_xyxy=box) for i, box in enumerate(boxes)]
    build(records, tmp_path, tmp_path / "db", framing="photo", crops=crops, side=16, processes=1)
    ages = open_store(tmp_path / "db").age_years.tolist()
    assert ages[0] == 0
    assert not {1, 2, 3} & set(ages)
    drops = json.loads((tmp_path / "db" / "drops.json").read_text())
    assert drops["counts"] == {"face cannot be cut": 5 - len(ages)}
    assert "x0 < x1 and y0 < y1" in drops["rows"][0]["detail"]


@pytest.mark.parametrize("framing", ["chip", "photo"])
def test_tiny_and_thin_pictures_are_not_fatal(
    tmp_path: Path, write_jpeg: Callable[..., None], framing: Framing
) -> None:
    shapes = [(1, 1), (1, 300), (400, 2), (3, 3)]
    for i, shape in enumerate(shapes):
        write_jpeg(tmp_path / f"{i}.jpg", np.full((*shape, 3), 90, dtype=np.uint8))
    good = [Record(f"{i}.jpg", 1.0, None) for i in range(4)]
    boxed = [Record(f"{i}.jpg", 1.0, None, box_xyxy=(0, 0, 1, 1)) for i in range(4)]
    for name, records in (("db", good), ("boxed", boxed)):
        if framing == "photo" and records is good:
            with pytest.raises(ValueError, match=r"all 4 records were dropped \(no face found: 4\)"):
                build(records, tmp_path, tmp_path / name, framing=framing, side=16, processes=1)
        else:
            report = build(records, tmp_path, tmp_path / name, framing=framing, side=16, processes=1)
            assert (report.manifest.rows, report.manifest.found) == (4, 0)


def test_names_that_are_no_unicode(tmp_path: Path, pictures: SimpleNamespace) -> None:
    name = os.fsdecode(b"caf\xe9.jpg")
    shutil.copy(pictures.root / pictures.twins[0], tmp_path / name)
    build([Record(name, 3.0, None)], tmp_path, tmp_path / "db", side=16, processes=1)
    assert open_store(tmp_path / "db").name.tolist() == ["caf\\xe9.jpg"]


def test_faces_of_low_score_are_dropped_where_asked(tmp_path: Path, pictures: SimpleNamespace) -> None:
    records = [Record(name, 1.0, None) for name in (pictures.face, pictures.twins[0])]
    build(records, pictures.root, tmp_path / "db", side=16, processes=1, min_score=0.5)
    assert open_store(tmp_path / "db").name.tolist() == [pictures.face]
    assert _drops(tmp_path / "db") == {pictures.twins[0]: "no face found"}
    with pytest.raises(ValueError, match=r"all 2 records were dropped \(.*detector score below 1: 1"):
        build(records, pictures.root, tmp_path / "db2", side=16, processes=1, min_score=1.0)
    assert not read_manifest(tmp_path / "db2").complete
    assert set(_drops(tmp_path / "db2").values()) == {"detector score below 1", "no face found"}


def test_a_photo_without_a_box_among_boxed_ones_is_dropped(
    tmp_path: Path, photo: UInt8Array, write_jpeg: Callable[..., None]
) -> None:
    write_jpeg(tmp_path / "a.jpg", photo)
    records = [Record("a.jpg", 30.0, None, box_xyxy=(160, 60, 290, 210)), Record("a.jpg", 31.0, None)]
    build(records, tmp_path, tmp_path / "db", framing="photo", side=32, processes=1)
    store = open_store(tmp_path / "db")
    assert (store.age_years.tolist(), store.found.tolist()) == ([30], [True])
    assert _drops(tmp_path / "db") == {"a.jpg": NO_BOX}


@pytest.mark.parametrize(
    ("paths", "framing"), [(["a.jpg.chip.jpg"], "chip"), (["a.jpg.chip.jpg", "b.jpg"], "photo"), ([], "photo")]
)
def test_framing_follows_the_names(paths: list[str], framing: str) -> None:
    dropped = Record("x.txt", None, None, dropped="no")
    assert framing_of([dropped, *(Record(path, 1.0, None) for path in paths)]) == framing


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"side": 4}, "side must be 8 to 1024 pixels, got 4"),
        ({"min_score": 1.5}, "must be 0 to 1, got 1.5"),
        ({"crops": "all"}, "crops must be 'both', 'aligned' or 'as-is', got 'all'"),
        ({"framing": "tight"}, "framing must be 'chip' or 'photo', got 'tight'"),
        ({"shard_rows": 0}, "1 record or more, got 0"),
    ],
)
def test_bad_settings(tmp_path: Path, settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build([Record("a.jpg", 1.0, None)], tmp_path, tmp_path / "db", **settings)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match=message):
        Settings(**settings)  # type: ignore[arg-type]


def test_no_records_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one record"):
        build([], tmp_path, tmp_path / "db")
    assert list(tmp_path.iterdir()) == []


def test_records_that_are_all_dropped_by_the_reader(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"all 1 records were dropped \(no age: 1\)"):
        build([Record("a.jpg", None, None, dropped="no age")], tmp_path, tmp_path / "db", processes=1)


def test_a_folder_of_something_else_is_left_alone(
    tmp_path: Path, pictures: SimpleNamespace, records: tuple[Record, ...]
) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    for place in (tmp_path, tmp_path / "mine.txt"):
        with pytest.raises(FileExistsError, match="remove it, or name another folder"):
            build(records, pictures.root, place, processes=1)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_database_of_another_build_is_left_alone(
    tmp_path: Path, pictures: SimpleNamespace, records: tuple[Record, ...]
) -> None:
    build(records[:3], pictures.root, tmp_path / "db", side=16, crops="as-is", processes=1)
    before = _content(tmp_path / "db")
    with pytest.raises(FileExistsError, match="database of side 16, now 24: remove it"):
        build(records[:3], pictures.root, tmp_path / "db", side=24, crops="as-is", processes=1)
    with pytest.raises(FileExistsError, match="database of other records: remove it"):
        build(records[:4], pictures.root, tmp_path / "db", side=16, crops="as-is", processes=1)
    assert _content(tmp_path / "db") == before


def test_two_builds_at_once_are_refused(tmp_path: Path, pictures: SimpleNamespace, records: tuple[Record, ...]) -> None:
    (tmp_path / "db").mkdir()
    with locked(tmp_path / "db"), pytest.raises(BlockingIOError, match="another process is writing to"):
        build(records[:2], pictures.root, tmp_path / "db", side=16, processes=1)
    build(records[:2], pictures.root, tmp_path / "db", side=16, processes=1)


def test_a_root_that_may_only_be_read(tmp_path: Path, pictures: SimpleNamespace) -> None:
    root = tmp_path / "root"
    shutil.copytree(pictures.root, root)
    for path in (*root.iterdir(), root):
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = {path.name: path.stat().st_mtime_ns for path in root.iterdir()}
    build(read_records(root).records[:4], root, tmp_path / "db", side=16, processes=1)
    assert {path.name: path.stat().st_mtime_ns for path in root.iterdir()} == before
    root.chmod(0o755)


# ---------------------------------------------------------------- going on


def test_a_second_build_does_nothing(
    tmp_path: Path, pictures: SimpleNamespace, records: tuple[Record, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    build(records, pictures.root, tmp_path / "db", side=16, crops="as-is", processes=1, shard_rows=20)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "db").rglob("*.*")}
    monkeypatch.setattr(shards, "cut", None)  # whoever cuts again fails
    again = build(records, pictures.root, tmp_path / "db", side=16, crops="as-is", processes=1, shard_rows=20)
    assert again.shards_made == 0
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "db").rglob("*.*")} == before


def test_processes_change_nothing(tmp_path: Path, pictures: SimpleNamespace, records: tuple[Record, ...]) -> None:
    for processes in (1, 2):
        build(
            records[:6],
            pictures.root,
            tmp_path / str(processes),
            side=16,
            processes=processes,
            shard_rows=2,
            crops="as-is",
        )
    assert _content(tmp_path / "1") == _content(tmp_path / "2")


def test_an_interrupted_build_leaves_a_valid_shorter_database(
    tmp_path: Path, pictures: SimpleNamespace, records: tuple[Record, ...]
) -> None:
    def stop(done: int, total: int) -> None:
        if done == 40:
            raise KeyboardInterrupt

    folder = tmp_path / "db"
    with pytest.raises(KeyboardInterrupt):
        build(records, pictures.root, folder, side=16, crops="as-is", processes=1, shard_rows=20, progress=stop)
    assert read_faces(folder).column("name").to_pylist() == [record.path for record in records[:40]]
    with pytest.raises(ValueError, match="not finished: 40 faces of 52 records are in it; run the same"):
        open_store(folder)
    partial = open_store(folder, partial=True)
    assert partial.whole.shape == (40, 16, 16, 3)
    report = build(records, pictures.root, folder, side=16, crops="as-is", processes=1, shard_rows=20)
    assert report.shards_made == 1
    whole = open_store(folder)
    assert np.array_equal(whole.whole[:40], partial.whole)
    assert len(list(folder.glob("cache-*"))) == 1
    build(records, pictures.root, tmp_path / "once", side=16, crops="as-is", processes=1, shard_rows=20)
    assert _content(folder) == _content(tmp_path / "once")


def test_a_shard_that_no_manifest_names_yet_is_taken_over(
    tmp_path: Path, pictures: SimpleNamespace, records: tuple[Record, ...]
) -> None:
    build(records, pictures.root, tmp_path / "once", side=16, crops="as-is", processes=1, shard_rows=20)
    folder = tmp_path / "db"

    def stop(done: int, total: int) -> None:
        if done == 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(records, pictures.root, folder, side=16, crops="as-is", processes=1, shard_rows=20, progress=stop)
    # As if killed between the move of the second shard and the manifest; the third is of something else.
    shutil.copy(shard_path(tmp_path / "once", 1), shard_path(folder, 1))
    shutil.copy(shard_path(tmp_path / "once", 0), shard_path(folder, 2))
    (folder / "shards" / ".agewise-0123.part").write_bytes(b"half")
    report = build(records, pictures.root, folder, side=16, crops="as-is", processes=1, shard_rows=20)
    assert report.shards_made == 1
    assert _content(folder) == _content(tmp_path / "once")


def test_a_broken_shard_file_is_made_again(
    tmp_path: Path, pictures: SimpleNamespace, records: tuple[Record, ...]
) -> None:
    folder = tmp_path / "db"
    (folder / "shards").mkdir(parents=True)
    build(records[:2], pictures.root, tmp_path / "once", side=16, crops="as-is", processes=1)
    shutil.copy(tmp_path / "once" / "database.json", folder)
    manifest = json.loads((folder / "database.json").read_text())
    manifest |= {"shards": [], "complete": False, "rows": 0, "found": 0}
    (folder / "database.json").write_text(json.dumps(manifest))
    shard_path(folder, 0).write_bytes(b"PAR1 but not really")
    assert build(records[:2], pictures.root, folder, side=16, crops="as-is", processes=1).shards_made == 1
    assert _content(folder) == _content(tmp_path / "once")


def test_a_full_disk_is_said_and_leaves_whole_shards(
    tmp_path: Path, pictures: SimpleNamespace, records: tuple[Record, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    written = []

    def full(table: object, file: object) -> None:
        written.append(table)
        if len(written) == 2:
            raise OSError(28, "No space left on device")
        pq.write_table(table, file)

    monkeypatch.setattr(shards, "_write_table", full)
    with pytest.raises(OutputError, match="free some space"):
        build(records, pictures.root, tmp_path / "db", side=16, crops="as-is", processes=1, shard_rows=20)
    monkeypatch.undo()
    assert read_manifest(tmp_path / "db").rows == 20
    assert [path.name for path in (tmp_path / "db" / "shards").iterdir()] == ["part-00000.parquet"]
    assert (
        build(records, pictures.root, tmp_path / "db", side=16, crops="as-is", processes=1, shard_rows=20).shards_made
        == 2
    )


_SCRIPT = """
import sys
from pathlib import Path
from agewise_lab.datasets.utkface import read_records
from agewise_lab.store.build import build

def tell(done, total):
    print(done, flush=True)

if __name__ == "__main__":
    root, folder, processes = sys.argv[1:]
    build(read_records(Path(root)).records, Path(root), Path(folder), side=16, processes=int(processes),
          shard_rows=4, progress=tell)
    print("finished", flush=True)
"""


def _children(pid: int) -> list[int]:
    """The live children of a process."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
@pytest.mark.parametrize("processes", [1, 2])
def test_a_killed_build_goes_on(
    tmp_path: Path, pictures: SimpleNamespace, records: tuple[Record, ...], processes: int
) -> None:
    script, folder = tmp_path / "script.py", tmp_path / "db"
    script.write_text(_SCRIPT)
    command = [sys.executable, str(script), str(pictures.root), str(folder), str(processes)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(3)]  # 0, then two shards
        workers = _children(process.pid)
        process.send_signal(signal.SIGKILL)
        rest = process.stdout.read()
    assert "finished" not in rest, "killed too late to show anything"
    assert lines[0] == "0\n"
    assert len(workers) >= (2 if processes == 2 else 0)
    begin = time.monotonic()
    while any(Path(f"/proc/{pid}").exists() for pid in workers):
        assert time.monotonic() - begin < 20, "workers outlive their killed parent"
        time.sleep(0.02)
    kept = read_manifest(folder)
    assert 2 <= len(kept.shards) < 13
    assert not kept.complete
    assert len(read_faces(folder)) == kept.rows
    before = {path: path.stat().st_mtime_ns for path in (folder / "shards").glob("part-*")}
    report = build(records, pictures.root, folder, side=16, processes=1, shard_rows=4)
    assert report.shards_made == 13 - len(before)
    assert all(path.stat().st_mtime_ns == when for path, when in before.items())
    build(records, pictures.root, tmp_path / "once", side=16, processes=1, shard_rows=4)
    assert _content(folder) == _content(tmp_path / "once")


class _Bomb:
    """Ends the process that unpickles it, as the system does to one that takes too much memory."""

    def __reduce__(self) -> tuple[Callable[[int], None], tuple[int]]:
        return os._exit, (9,)

    def __str__(self) -> str:
        return "bomb"


def test_a_worker_that_dies_is_an_error_and_not_a_hang(tmp_path: Path, pictures: SimpleNamespace) -> None:
    records = [Record(name, 1.0, None, subject=_Bomb()) for name in pictures.twins]  # type: ignore[arg-type]
    with pytest.raises(OSError, match="a worker process ended by itself, perhaps for want of memory: run the same"):
        build(records, pictures.root, tmp_path / "db", side=16, processes=2, shard_rows=1)

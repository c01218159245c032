"""Leaks: what crosses, what disagrees, within a database and between two."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from agewise.imaging import read_image
from agewise.types import Gender, UInt8Array
from agewise_lab.datasets.record import Record
from agewise_lab.store.build import build_from_arrays
from agewise_lab.store.crops import open_labels
from agewise_lab.store.leak_pictures import label, write_pictures
from agewise_lab.store.leaks import find_leaks
from agewise_lab.store.saved_splits import save_split
from agewise_lab.store.split import split_of

F, M = Gender.FEMALE, Gender.MALE


def _database(
    folder: Path,
    clouds: Callable[..., UInt8Array],
    rows: list[tuple[int, float | None, Gender | None, str | None]],
    dataset: str = "own",
) -> Path:
    """A database of (cloud's seed, age, gender, subject); one seed is one photo, mirrored for a negative seed."""
    images = [np.ascontiguousarray(clouds(abs(seed))[:, :: -1 if seed < 0 else 1]) for seed, *_ in rows]
    records = [Record(f"{i}.jpg", age, gender, subject=subject) for i, (_, age, gender, subject) in enumerate(rows)]
    build_from_arrays(images, records, folder, dataset=dataset, side=32)
    return folder


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory, clouds: Callable[..., UInt8Array]) -> Path:
    """Eight faces: 0, 3 and 6 are one photo, 1 and 4 another; 2 and 5 are one person. Parts: three train, and so on."""
    rows = [
        (1, 20.0, F, "a"),
        (2, 30.0, M, None),
        (3, 40.0, M, "b"),
        (-1, 25.0, F, "a"),
        (-2, 30.0, None, None),
        (4, 41.0, M, "b"),
        (1, 60.0, M, None),
        (5, None, None, None),
    ]
    folder = _database(tmp_path_factory.mktemp("leaks") / "db", clouds, rows)
    parts = np.array([0, 0, 0, 1, 2, 2, 2, 2])
    save_split(folder, open_labels(folder), "leaky", split_of(parts), {"by": "hand"})
    save_split(folder, open_labels(folder), "clean", split_of(np.array([0, 2, 0, 0, 2, 0, 0, 2])), {"by": "hand"})
    return folder


def test_what_disagrees(database: Path) -> None:
    leaks = find_leaks([database])
    assert (leaks.groups, leaks.grouped) == (2, 5)
    (conflict,) = leaks.conflicts  # the pair that agrees where it says anything is none
    assert conflict.members == (0, 3, 6)
    assert (conflict.span_years, conflict.genders_differ) == (40.0, True)
    assert leaks.crossings == ()
    assert not leaks.crosses


def test_what_crosses_a_split(database: Path) -> None:
    leaks = find_leaks([database], "leaky")
    found = {(c.kind, c.measured, c.trained): c for c in leaks.crossings}
    assert set(found) == {
        (kind, *sides)
        for kind in ("near-duplicate", "subject")
        for sides in (("validation", "train"), ("holdout", "train"), ("holdout", "validation"))
    }
    first = found["near-duplicate", "validation", "train"]
    assert (first.faces, first.touched, first.other_age, first.other_gender) == (1, 1, 1, 0)
    assert first.examples == ((3, 0),)
    second = found["near-duplicate", "holdout", "train"]
    # 4 agrees with 1, 6 has another age and gender than 0.
    assert (second.faces, second.touched, second.other_age, second.other_gender) == (4, 2, 1, 1)
    assert second.examples == ((4, 1), (6, 0))
    people = found["subject", "holdout", "train"]
    assert (people.touched, people.examples) == (1, ((5, 2),))
    assert leaks.crosses


def test_what_does_not_cross(database: Path) -> None:
    leaks = find_leaks([database], "clean")
    assert [(c.kind, c.measured, c.touched) for c in leaks.crossings] == [
        ("near-duplicate", "holdout", 0),
        ("subject", "holdout", 0),
    ]
    assert not leaks.crosses


def test_two_databases(tmp_path: Path, database: Path, clouds: Callable[..., UInt8Array]) -> None:
    other = _database(tmp_path / "other", clouds, [(9, 20.0, F, "a"), (-2, 33.0, M, None), (10, 1.0, M, None)], "other")
    leaks = find_leaks([database, other])
    by_photo, by_person = leaks.crossings
    assert (by_photo.kind, by_photo.measured, by_photo.trained) == ("near-duplicate", str(other), str(database))
    assert (by_photo.faces, by_photo.touched, by_photo.other_age) == (3, 1, 1)
    assert leaks.faces.name[by_photo.examples[0][0]] == "1.jpg"
    # The other data set's «a» is another person, until the two say that they are the same data set.
    assert by_person.touched == 0
    again = _database(tmp_path / "again", clouds, [(9, 20.0, F, "a")], "own")
    assert find_leaks([database, again]).crossings[1].touched == 1
    # By a split that both have, the parts of one name are one part.
    for folder in (other, again):
        count = len(open_labels(folder))
        save_split(folder, open_labels(folder), "leaky", split_of(np.zeros(count, dtype=np.int64)), {"by": "hand"})
    crossing = find_leaks([database, other], "leaky").crossings[2]
    assert (crossing.kind, crossing.measured, crossing.touched) == ("near-duplicate", "holdout", 2)


def test_one_database_twice_is_refused(tmp_path: Path, database: Path) -> None:
    (tmp_path / "link").symlink_to(database)
    with pytest.raises(ValueError, match="named twice"):
        find_leaks([database, tmp_path / "link"])


def test_a_split_that_one_lacks(tmp_path: Path, database: Path, clouds: Callable[..., UInt8Array]) -> None:
    other = _database(tmp_path / "other", clouds, [(9, 20.0, F, None)])
    with pytest.raises(ValueError, match="other has no splits"):
        find_leaks([database, other], "leaky")


def test_the_pictures_are_those_of_the_leaks(tmp_path: Path, database: Path, clouds: Callable[..., UInt8Array]) -> None:
    leaks = find_leaks([database], "leaky")
    page = write_pictures(leaks, tmp_path / "für mich")
    assert page == tmp_path / "für mich" / "leaks.html"
    names = sorted(path.name for path in page.parent.iterdir())
    assert names == ["conflicts.png", *(f"crossing-{i}.png" for i in range(5)), "leaks.html"]
    text = page.read_text()
    assert "2 of 4 faces of holdout have a near-duplicate in train" in text
    assert "<td>6.jpg</td><td>0.jpg</td>" in text
    assert text.count("data:image/png;base64,") == 6
    assert "http" not in text
    strip = read_image(page.parent / "conflicts.png")
    assert strip.shape == (112, 960, 3)
    first, third = strip[4:90, 4:90].astype(int), strip[4:90, 196:282].astype(int)
    assert np.abs(first - third).mean() < 1, "the same photo"
    assert np.abs(first - strip[4:90, 100:186]).mean() > 20, "its mirror image"


def test_pictures_of_two_databases(tmp_path: Path, database: Path, clouds: Callable[..., UInt8Array]) -> None:
    other = _database(tmp_path / "other", clouds, [(5, 20.0, F, None)])
    page = write_pictures(find_leaks([database, other]), tmp_path / "out")
    assert "<td>0.jpg</td><td>7.jpg</td>" in page.read_text()


def test_labels(database: Path) -> None:
    faces = find_leaks([database]).faces
    assert [label(faces, row) for row in (0, 1, 4, 7)] == ["20 f", "30 m", "30 ?", "? ?"]


def test_nothing_to_show(tmp_path: Path, clouds: Callable[..., UInt8Array]) -> None:
    folder = _database(tmp_path / "db", clouds, [(1, 20.0, F, None), (2, 20.0, F, None)])
    leaks = find_leaks([folder])
    assert (leaks.groups, leaks.conflicts) == (0, ())
    assert [path.name for path in write_pictures(leaks, tmp_path / "out").parent.iterdir()] == ["leaks.html"]


def test_the_twins_of_the_pictures(store_folder: Path, pictures: SimpleNamespace) -> None:
    (conflict,) = find_leaks([store_folder]).conflicts
    assert {str(find_leaks([store_folder]).faces.name[row]) for row in conflict.members} == set(pictures.twins)
    assert (conflict.span_years, conflict.genders_differ) == (10.0, True)


def test_an_unfinished_database_is_looked_at_too(tmp_path: Path, store_folder: Path) -> None:
    shutil.copytree(store_folder, tmp_path / "db", ignore=shutil.ignore_patterns("cache-*", "faces.parquet"))
    path = tmp_path / "db" / "database.json"
    path.write_text(path.read_text().replace('"complete": true', '"complete": false'))
    assert find_leaks([tmp_path / "db"]).groups == 1

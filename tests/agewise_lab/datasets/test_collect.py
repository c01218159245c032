"""Each record is kept or dropped for a stated reason; none is lost, none is fatal."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from agewise.types import Gender
from agewise_lab.datasets._collect import (
    CONTRADICTS,
    IMPOSSIBLE_AGE,
    LISTED_TWICE,
    NO_AGE,
    NO_PICTURE,
    OUTSIDE,
    Collector,
)
from agewise_lab.datasets._folders import FileIndex, walk_pictures, wrong_layout

Touch = Callable[..., None]


@pytest.fixture
def root(tmp_path: Path, touch: Touch) -> Path:
    touch(tmp_path, "a.jpg", "b/c d.jpg")
    return tmp_path


@pytest.mark.parametrize(
    ("path", "age", "reason"),
    [
        ("a.jpg", 0.0, None),
        ("a.jpg", 120.0, None),
        ("./a.jpg", 1.0, None),
        ("b/c d.jpg", 1.0, None),
        ("b\\c d.jpg", 1.0, None),
        ("a.jpg", -5.0, IMPOSSIBLE_AGE),
        ("a.jpg", 150.0, IMPOSSIBLE_AGE),
        ("a.jpg", float("inf"), IMPOSSIBLE_AGE),
        ("a.jpg", float("nan"), NO_AGE),
        ("a.jpg", None, NO_AGE),
        ("A.jpg", 1.0, NO_PICTURE),
        ("b", 1.0, NO_PICTURE),
        ("none/a.jpg", 1.0, NO_PICTURE),
        ("../a.jpg", 1.0, OUTSIDE),
        ("b/../../x/a.jpg", 1.0, OUTSIDE),
        ("/etc/passwd", 1.0, OUTSIDE),
        ("C:\\a.jpg", 1.0, OUTSIDE),
        ("", 1.0, OUTSIDE),
        ("a\0.jpg", 1.0, OUTSIDE),
    ],
)
def test_reasons(root: Path, path: str, age: float | None, reason: str | None) -> None:
    collector = Collector(root)
    collector.add(path, age, None)
    (record,) = collector.listing().records
    assert record.dropped == reason
    assert record.age_years is age


def test_the_path_is_that_of_the_disk(root: Path) -> None:
    collector = Collector(root)
    collector.add(".\\b\\c d.jpg", 1.0, None)
    assert collector.listing().usable[0].path == "b/c d.jpg"


def test_a_class_of_ages_stands_for_an_age(root: Path) -> None:
    collector = Collector(root)
    collector.add("a.jpg", None, None, age_range_years=(4.0, 6.0))
    assert collector.listing().drops_by_reason() == {}


def test_what_is_listed_twice_counts_once(root: Path) -> None:
    collector = Collector(root)
    collector.add("a.jpg", 5.0, Gender.MALE)
    collector.add("a.jpg", 5.0, Gender.MALE)
    collector.add("a.jpg", 6.0, Gender.MALE)
    collector.add("a.jpg", 5.0, Gender.FEMALE)
    collector.add("b/c d.jpg", 5.0, None, key=(0, 0))
    collector.add("b/c d.jpg", 5.0, None, key=(9, 9))
    listing = collector.listing()
    assert [record.dropped for record in listing.records] == [None, LISTED_TWICE, CONTRADICTS, CONTRADICTS, None, None]
    assert listing.drops_by_reason() == {CONTRADICTS: 2, LISTED_TWICE: 1}
    assert len(listing.usable) + len(listing.dropped) == len(listing.records) == 6


def test_links_to_nowhere_are_no_pictures(root: Path) -> None:
    (root / "dead.jpg").symlink_to(root / "gone.jpg")
    (root / "live.jpg").symlink_to(root / "a.jpg")
    assert FileIndex(root).find("dead.jpg") is None
    assert FileIndex(root).find("live.jpg") == "live.jpg"
    assert list(walk_pictures(root)) == ["a.jpg", "b/c d.jpg", "dead.jpg", "live.jpg"]


def test_linked_folders_are_looked_into_and_circles_end(tmp_path: Path, touch: Touch) -> None:
    touch(tmp_path, "root/26/a.jpg", "elsewhere/b.jpg")
    (tmp_path / "root/30").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "root/26/up").symlink_to(tmp_path / "root")
    (tmp_path / "root/26/self").symlink_to(tmp_path / "root/26")
    assert list(walk_pictures(tmp_path / "root")) == ["26/a.jpg", "30/b.jpg"]


@pytest.mark.parametrize(("on_disk", "in_list"), [("NFC", "NFD"), ("NFD", "NFC"), ("NFD", "NFD")])
def test_accents_in_either_form(tmp_path: Path, touch: Touch, on_disk: str, in_list: str) -> None:
    name = "Renée.jpg"
    touch(tmp_path, unicodedata.normalize(on_disk, name))  # type: ignore[arg-type]
    found = FileIndex(tmp_path).find(unicodedata.normalize(in_list, name))  # type: ignore[arg-type]
    assert found == unicodedata.normalize(on_disk, name)  # type: ignore[arg-type]


def test_hidden_files_and_what_macos_leaves_are_left_out(tmp_path: Path, touch: Touch) -> None:
    touch(tmp_path, "._a.jpg", ".git/a.jpg", "__MACOSX/a.jpg", "A.JPEG", "b/a.png", "c.txt", "d.jpg.mat")
    assert list(walk_pictures(tmp_path)) == ["A.JPEG", "b/a.png"]


def test_a_long_folder_is_shown_in_part(tmp_path: Path, touch: Touch) -> None:
    touch(tmp_path, *(f"{i:03d}.png" for i in range(100)))
    text = str(wrong_layout("X", tmp_path, "\nroot/\n  x.mat\n", "x.mat is missing"))
    assert "013.png" in text
    assert "014.png" not in text
    assert "… and 86 more" in text


def test_an_empty_folder_is_said_to_be_so(tmp_path: Path) -> None:
    assert str(wrong_layout("X", tmp_path, "root/", "all is missing")).splitlines()[-1].split() == ["(nothing)"]

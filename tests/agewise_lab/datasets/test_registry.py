"""What holds for every reader: the protocol, its facts, a right folder, a wrong one, and none at all."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from agewise_lab.datasets.base import Access, LayoutError
from agewise_lab.datasets.registry import READERS, find_reader, options_of, parse_options, read

Makers = dict[str, Callable[[Path], None]]
every = pytest.mark.parametrize("name", READERS)


def _state(root: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.stat().st_mtime_ns, path.stat().st_mode) for path in [root, *root.rglob("*")]}


def test_all_sets_of_the_plan_are_there_and_have_a_tree(makers: Makers) -> None:
    assert list(READERS) == list(makers)
    assert len(READERS) == 16


@every
def test_a_reader_has_what_the_protocol_asks(name: str) -> None:
    reader = READERS[name]
    assert name == reader.NAME
    assert reader.EXPECTED_LAYOUT.strip()
    first, *options = inspect.signature(reader.read_records).parameters.values()
    assert first.name == "root"
    assert all(option.kind is option.KEYWORD_ONLY and option.default is not option.empty for option in options)


@every
def test_facts_are_whole(name: str) -> None:
    facts = READERS[name].FACTS
    needed = ["title", "images", "subjects", "ages", "labels", "gender_coding", "terms", "protocol", "used_for"]
    if facts.access is not Access.YOURS:
        needed += ["url", "paper"]
    if facts.access is not Access.OPEN:
        needed += ["how_to_get"]
    assert [field for field in needed if not getattr(facts, field).strip()] == []
    assert bool(facts.downloads) == (facts.access is Access.OPEN)
    for download in facts.downloads:
        assert download.url.startswith("https://")
        assert download.file == Path(download.file).name
        assert (download.sha256 is None) == (not download.sha256_from), "a checksum comes with who says so"
        assert download.sha256 is None or len(bytes.fromhex(download.sha256)) == 32


@every
def test_a_right_folder_is_read_whole_and_left_alone(name: str, makers: Makers, tmp_path: Path) -> None:
    root = tmp_path / "mit Leerzeichen, Ünïcode 人"
    root.mkdir()
    makers[name](root)
    for path in [*root.rglob("*"), root]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = _state(root)
    listing = read(name, root)
    assert _state(root) == before
    for path in [root, *root.rglob("*")]:
        path.chmod(0o755)
    assert listing.records
    assert listing.dropped == ()
    assert all((root / record.path).is_file() for record in listing.records)
    assert all(record.age_years is not None or record.age_range_years is not None for record in listing.records)
    assert read(name, root) == listing


@every
def test_another_folder_is_shown_beside_what_was_expected(name: str, tmp_path: Path) -> None:
    (tmp_path / "some folder").mkdir()
    (tmp_path / "notes.txt").touch()
    reader = READERS[name]
    with pytest.raises(LayoutError) as caught:
        reader.read_records(tmp_path)
    first, *lines = str(caught.value).splitlines()
    assert first.startswith(f"{reader.FACTS.title}: {tmp_path} is not laid out as expected: ")
    assert lines[0].split() == ["expected", "found"]
    text = "\n".join(lines)
    assert "some folder/" in text
    assert "notes.txt" in text
    for line in reader.EXPECTED_LAYOUT.strip("\n").splitlines():
        assert line in text


@every
def test_no_folder_is_said_in_one_line(name: str, tmp_path: Path) -> None:
    with pytest.raises(LayoutError, match=r"none is no folder; expected the folder") as caught:
        READERS[name].read_records(tmp_path / "none")
    assert "\n" not in str(caught.value)


# Where names are the labels, pictures are found at any depth.
NAMED = ("morph2", "utkface", "fgnet", "agedb", "cacd2000", "afad", "own")


@pytest.mark.parametrize("name", [name for name in READERS if name not in NAMED])
def test_a_folder_one_or_two_levels_up_is_told_where_it_is(name: str, makers: Makers, tmp_path: Path) -> None:
    inner = tmp_path / "archive" / "the set"
    inner.mkdir(parents=True)
    makers[name](inner)
    with pytest.raises(LayoutError, match=rf"It seems to lie in {inner}: give that folder\."):
        read(name, tmp_path)


def test_an_unknown_name_answers_with_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"unknown data set 'adiance': did you mean 'adience'\? Known: imdb, wiki, "):
        find_reader("adiance")


def test_options_get_their_own_types() -> None:
    assert parse_options(find_reader("imdb"), ["min_score=2.5", "whole=yes"]) == {"min_score": 2.5, "whole": True}
    assert parse_options(find_reader("appa-real"), ["ignore-list=a/b.txt"]) == {"ignore_list": Path("a/b.txt")}
    assert parse_options(find_reader("own"), ["columns=path=file,age=a"]) == {"columns": "path=file,age=a"}
    assert list(options_of(find_reader("adience"))) == ["outside"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("imdb", "min_scor=1", "unknown option of imdb 'min_scor': did you mean 'min_score'? Known: min_score, whole"),
        ("imdb", "min_score", "an option must read KEY=VALUE, got 'min_score'"),
        ("imdb", "min_score=high", "option min_score of imdb: could not convert string to float: 'high'"),
        ("imdb", "whole=maybe", "option whole of imdb: expected yes or no, got 'maybe'"),
    ],
)
def test_options_that_are_wrong(name: str, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        parse_options(find_reader(name), [text])


def test_a_folder_that_may_not_be_listed_is_no_silent_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "26").mkdir()
    scandir = os.scandir

    def refuse(path: os.PathLike[str]) -> object:
        if Path(path).name == "26":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(PermissionError, match="Permission denied"):
        read("own", tmp_path)


# ---------------------------------------------------------------- the document


def _document() -> list[str]:
    return (Path(__file__).parents[3] / "docs" / "datasets.md").read_text(encoding="utf-8").splitlines()


@every
def test_the_document_says_what_the_facts_say(name: str) -> None:
    facts = READERS[name].FACTS
    rows = [line.strip("| ").split(" | ") for line in _document() if line.startswith(f"| `{name}` |")]
    assert len(rows) == 2, "one row in the table of sets, one in that of genders"
    first, second = rows
    said = [facts.images, facts.subjects, facts.ages, facts.labels, facts.terms]
    assert first[1:6] == said
    assert first[7:] == [facts.protocol, facts.used_for]
    assert facts.url in first[6]
    assert second == [f"`{name}`", facts.gender_coding]

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agewise.sources import PICTURE_SUFFIXES, Source, SourceList, list_sources, natural_key

posix_only = pytest.mark.skipif(os.name != "posix", reason="links, pipes and byte names as POSIX has them")


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pictures in the current folder; nobody looks inside them."""
    for name in (
        "a.jpg",
        "notes.txt",
        "no_suffix",
        "photos/img10.JPG",
        "photos/img2.png",
        "photos/.hidden.jpg",
        "photos/notes.txt",
        "photos/2021/b.webp",
        "photos/2020/c.tiff",
        "photos/2020/deep/d.avif",
        "photos/.trash/e.jpg",
        "photos/f.jpg/g.bmp",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def paths(listed: SourceList) -> list[str]:
    return [source.path.replace(os.sep, "/") for source in listed.sources]


def relatives(listed: SourceList) -> list[str]:
    return [source.relative.replace(os.sep, "/") for source in listed.sources]


DEEP = ["photos/2020/c.tiff", "photos/2020/deep/d.avif", "photos/2021/b.webp", "photos/f.jpg/g.bmp"]


@pytest.mark.parametrize(
    ("arguments", "recursive", "expected"),
    [
        (["a.jpg"], False, ["a.jpg"]),
        (["notes.txt", "no_suffix"], False, ["notes.txt", "no_suffix"]),  # what is named is always tried
        (["missing.jpg"], False, ["missing.jpg"]),  # and tells so when it is read
        ([""], False, [""]),
        (["photos"], False, ["photos/img2.png", "photos/img10.JPG"]),  # sorted as people do; no hidden ones
        (["photos/"], False, ["photos/img2.png", "photos/img10.JPG"]),
        (["photos"], True, ["photos/img2.png", "photos/img10.JPG", *DEEP]),
        (["photos/.trash"], False, ["photos/.trash/e.jpg"]),  # a hidden folder that is named
        (["-"], False, ["-"]),
        (["photos/*.png"], False, ["photos/img2.png"]),
        (["photos/img?.*"], False, ["photos/img2.png"]),
        (["photos/img[0-9]*"], False, ["photos/img2.png", "photos/img10.JPG"]),
        (["photos/20*/*"], False, ["photos/2020/c.tiff", "photos/2020/deep/d.avif", "photos/2021/b.webp"]),
        (["photos/**/*.avif"], False, ["photos/2020/deep/d.avif"]),
        (["**/*.bmp"], False, ["photos/f.jpg/g.bmp"]),
        (["*"], False, ["a.jpg", "no_suffix", "notes.txt", "photos/img2.png", "photos/img10.JPG"]),  # as in a shell
        (["photos/.h*"], False, ["photos/.hidden.jpg"]),
        (["a.jpg", "photos", "a.jpg"], False, ["a.jpg", "photos/img2.png", "photos/img10.JPG"]),
        (["a.jpg", "./a.jpg", "photos/../a.jpg", "*.jpg"], False, ["a.jpg"]),  # once, where it came first
        (["-", "-"], False, ["-"]),
    ],
)
def test_what_is_listed(tree: Path, arguments: list[str], recursive: bool, expected: list[str]) -> None:
    listed = list_sources(arguments, recursive=recursive)
    assert paths(listed) == expected
    assert listed.problems == ()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["a.jpg"], ["a.jpg"]),
        (["photos/2020/c.tiff"], ["c.tiff"]),
        (["photos"], ["img2.png", "img10.JPG", *(path.removeprefix("photos/") for path in DEEP)]),
        (["./photos/2020/"], ["c.tiff", "deep/d.avif"]),
        (["photos/20*/*.*"], ["2020/c.tiff", "2021/b.webp"]),  # below the part that has no wildcard
        (["photos/20*"], ["2020/c.tiff", "2020/deep/d.avif", "2021/b.webp"]),
        (["**/b.*"], ["photos/2021/b.webp"]),
    ],
)
def test_the_part_below_what_was_named(tree: Path, arguments: list[str], expected: list[str]) -> None:
    assert relatives(list_sources(arguments, recursive=True)) == expected


def test_absolute_patterns(tree: Path) -> None:
    listed = list_sources([f"{tree}/photos/*/*.webp"])
    assert [source.path for source in listed.sources] == [str(tree / "photos" / "2021" / "b.webp")]
    assert relatives(listed) == ["2021/b.webp"]


def test_a_file_whose_name_looks_like_a_pattern(tree: Path) -> None:
    for name in ("[1].jpg", "1.jpg"):
        (tree / name).touch()
    assert paths(list_sources(["[1].jpg"])) == ["[1].jpg"]


@pytest.mark.parametrize(
    ("arguments", "recursive", "message"),
    [
        (["empty"], False, r"^empty: no pictures in this folder \(\.jpg .*\.avif\)$"),
        (["photos/2020/deep/../../../empty"], True, "no pictures in this folder"),
        (["."], False, None),
        (["*.gif"], False, r"^\*\.gif: nothing matches this pattern$"),
        (["em*"], False, r"^em\*: no picture matches this pattern$"),
    ],
)
def test_what_holds_no_picture_is_told(tree: Path, arguments: list[str], recursive: bool, message: str | None) -> None:
    listed = list_sources([*arguments, "a.jpg"], recursive=recursive)
    assert "a.jpg" in relatives(listed), "the others are listed all the same"
    if message is None:
        assert listed.problems == ()
    else:
        (problem,) = listed.problems
        with pytest.raises(type(problem), match=message):
            raise problem


def test_a_folder_with_subfolders_only_says_how_to_search_them(tree: Path) -> None:
    (tree / "album" / "2020").mkdir(parents=True)
    (tree / "album" / "2020" / "a.jpg").touch()
    (problem,) = list_sources(["album"]).problems
    assert str(problem).endswith("; its subfolders are searched with -r")
    assert list_sources(["album"], recursive=True).problems == ()


@pytest.mark.parametrize("suffix", PICTURE_SUFFIXES)
def test_every_suffix_in_any_case(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"a{suffix}").touch()
    (tmp_path / f"b{suffix.upper()}").touch()
    assert relatives(list_sources([tmp_path])) == [f"a{suffix}", f"b{suffix.upper()}"]


def test_one_s_own_output_below_a_folder_is_left_out(tree: Path) -> None:
    listed = list_sources(["photos"], recursive=True, skip_folder="photos/2020")
    assert [path for path in paths(listed) if "2020" in path] == []
    assert "photos/2021/b.webp" in paths(listed)
    assert paths(list_sources(["photos/2020"], skip_folder="photos/2020")) == ["photos/2020/c.tiff"], "named itself"


@posix_only
class TestLinks:
    def test_a_loop_ends(self, tree: Path) -> None:
        (tree / "photos" / "loop").symlink_to(tree / "photos")
        (tree / "photos" / "2020" / "up").symlink_to("../..")
        listed = list_sources(["photos"], recursive=True)
        assert sorted({os.path.basename(path) for path in paths(listed)}) == sorted(
            ["a.jpg", "img2.png", "img10.JPG", "c.tiff", "d.avif", "b.webp", "g.bmp"]
        )
        assert len(listed.sources) == 7, "each folder is entered once"
        assert listed.problems == ()

    def test_a_loop_under_a_pattern_ends(self, tree: Path) -> None:
        for name in ("one", "two", "three"):
            (tree / name).symlink_to(".")
        assert relatives(list_sources(["**/*.avif"])) == ["photos/2020/deep/d.avif"]

    def test_a_link_to_a_folder_is_followed(self, tree: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
        elsewhere = tmp_path_factory.mktemp("elsewhere")
        (elsewhere / "x.jpg").touch()
        (tree / "empty" / "link").symlink_to(elsewhere)
        assert paths(list_sources(["empty"], recursive=True)) == ["empty/link/x.jpg"]

    def test_links_that_lead_nowhere_are_tried_so_that_they_are_told(self, tree: Path) -> None:
        (tree / "empty" / "gone.jpg").symlink_to("nowhere.jpg")
        (tree / "empty" / "self.png").symlink_to("self.png")
        assert paths(list_sources(["empty"])) == ["empty/gone.jpg", "empty/self.png"]

    def test_a_pipe_in_a_folder_is_not_waited_for(self, tree: Path) -> None:
        os.mkfifo(tree / "photos" / "pipe.jpg")
        assert "photos/pipe.jpg" not in paths(list_sources(["photos"]))
        assert paths(list_sources(["photos/pipe.jpg"])) == ["photos/pipe.jpg"], "named, it is tried"

    def test_bytes_that_are_not_utf8(self, tree: Path) -> None:
        name = os.fsdecode(b"caf\xe9.jpg")
        (tree / "empty" / name).touch()
        assert list_sources(["empty"]).sources == (Source(f"empty/{name}", len("empty/")),)
        (problem,) = list_sources([os.fsdecode(b"\xe9*.jpg")]).problems
        assert str(problem) == "\\xe9*.jpg: nothing matches this pattern"


def test_a_folder_that_cannot_be_read_stops_no_other(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scandir = os.scandir

    def refuse(folder: str) -> object:
        if folder.endswith("2020"):
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    listed = list_sources(["photos"], recursive=True)
    assert relatives(listed) == ["img2.png", "img10.JPG", "2021/b.webp", "f.jpg/g.bmp"]
    (problem,) = listed.problems
    assert str(problem).replace(os.sep, "/") == "photos/2020: cannot list this folder: Permission denied"


def test_depth_beyond_python_s_recursion(tmp_path: Path) -> None:
    folder = tmp_path
    for _ in range(400):
        folder /= "a"
    try:
        folder.mkdir(parents=True)
    except (OSError, RecursionError):
        pytest.skip("this file system does not go so deep")
    (folder / "x.jpg").touch()
    assert len(list_sources([tmp_path], recursive=True).sources) == 1


@pytest.mark.parametrize(
    "names",
    [
        ["1.jpg", "2.jpg", "10.jpg", "a.jpg", "B.jpg", "c.jpg"],
        ["a", "a1", "a2b", "a10"],
        ["img01", "img1", "img2"],  # equal by value: by the name itself
        ["9" * 200, "1" + "0" * 200],
    ],
)
def test_natural_order(names: list[str]) -> None:
    assert sorted(names[1:] + names[:1], key=natural_key) == names

"""The report: what it says, what it shows, and that it stands on its own."""

from __future__ import annotations

import base64
import json
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from agewise.estimate import Estimator
from agewise.imaging import read_image
from agewise.types import Gender, UInt8Array
from agewise_lab.datasets.record import Record
from agewise_lab.store.build import build_from_arrays
from agewise_lab.store.crops import open_store
from agewise_lab.store.look import estimates, write_look
from agewise_lab.store.manifest import read_manifest
from agewise_lab.store.mosaics import TILE, faces_of, html_table, mosaic
from agewise_lab.store.saved_splits import make_splits


class _Tags(HTMLParser):
    """Collects what a page asks for, and sees that its tags close."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory, store_folder: Path) -> Path:
    folder = tmp_path_factory.mktemp("look") / "db"
    shutil.copytree(store_folder, folder, ignore=shutil.ignore_patterns("cache-*"))
    make_splits(folder, by="hash", name="hash", fractions=(0.86, 0.07, 0.07))
    manifest = json.loads((folder / "database.json").read_text())
    manifest["dropped"] = {"picture <missing>": 3}
    (folder / "database.json").write_text(json.dumps(manifest))
    return folder


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, database: Path) -> Path:
    return write_look(database, tmp_path_factory.mktemp("report") / "Bericht 1", model="agewise-s")


def test_the_page_holds_all_its_pictures(page: Path) -> None:
    tags = _Tags(page.read_text())
    assert tags.open == []
    beside = {path.read_bytes() for path in page.parent.glob("*.png")}
    held = {base64.b64decode(source.removeprefix("data:image/png;base64,")) for source in tags.sources}
    assert held == beside
    names = {path.stem for path in page.parent.glob("*.png")}
    plots = {"ages", "ages-by-gender", "genders", "groups", "splits", "scores", "sizes", "sharpness"}
    decades = {f"faces-{decade:03d}" for decade in range(0, 100, 10)}
    assert names == plots | decades | {"conflicts", "surprises"}


def test_the_page_says_what_is_in_it(page: Path, database: Path) -> None:
    text = re.sub(r"data:[^\"]+", "", page.read_text())
    assert "utkface: 52 faces" in text
    assert "1 (1.9%)" in text  # found by the detector
    assert "2 faces in 1 groups, 1 disagree" in text
    assert "<td>picture &lt;missing&gt;</td><td class=n>3</td>" in text
    for part in ("0 to 9 years", "40 to 49 years", "agewise-s", _most_surprising(database)):
        assert part in text


def _most_surprising(database: Path) -> str:
    """The name of the face whose label is the furthest from the model's estimate."""
    store = open_store(database)
    years = estimates(database, Estimator("agewise-s"), read_manifest(database))
    return str(store.name[int(np.nanargmax(np.abs(years - store.age_years)))])


def test_a_plot_has_its_bars(page: Path) -> None:
    plot = read_image(page.parent / "ages.png")
    assert plot.shape[1] > 900
    colours = {tuple(pixel) for pixel in plot.reshape(-1, 3)[::7].tolist()}
    assert {(0xB5, 0x44, 0x6E), (0x2F, 0x66, 0x90)} <= colours


def test_the_estimates_are_those_of_the_model_on_the_stored_crops(database: Path, pictures: SimpleNamespace) -> None:
    years = estimates(database, Estimator("agewise-s"), read_manifest(database))
    store = open_store(database)
    assert years.shape == (52,)
    (face,) = np.flatnonzero(store.name == pictures.face)
    assert 25 < years[face] < 60  # the astronaut


def test_the_same_database_gives_the_same_report(tmp_path: Path, database: Path, page: Path) -> None:
    again = write_look(database, tmp_path, model="agewise-s")
    assert again.read_bytes() == page.read_bytes()
    other = write_look(database, tmp_path / "other", seed=5)
    assert (other.parent / "ages.png").read_bytes() == (page.parent / "ages.png").read_bytes()
    assert (other.parent / "faces-000.png").exists()
    assert not (other.parent / "surprises.png").exists()


def test_a_database_of_little(tmp_path: Path, clouds: Callable[..., UInt8Array]) -> None:
    records = [
        Record("a", None, None, age_range_years=(4, 6)),
        Record("b", None, None),
        Record("c", 111.0, Gender.MALE),
    ]
    build_from_arrays([clouds(i) for i in range(3)], records, tmp_path / "db", dataset="own", side=16)
    page = write_look(tmp_path / "db", tmp_path / "out")
    names = {path.stem for path in page.parent.glob("*.png")}
    assert {"faces-unknown", "faces-000", "faces-100", "ages"} <= names
    assert not {"scores", "groups", "splits"} & names
    text = page.read_text()
    assert "Nothing was dropped." in text
    assert "100 years and more (1)" in text


def test_no_ages_at_all(tmp_path: Path, clouds: Callable[..., UInt8Array]) -> None:
    build_from_arrays([clouds(0)], [Record("b", None, None)], tmp_path / "db", dataset="own", side=16)
    page = write_look(tmp_path / "db", tmp_path / "out", model="agewise-s")
    assert "age unknown (1)" in page.read_text()
    assert not (tmp_path / "out" / "ages.png").exists()
    assert not (tmp_path / "out" / "surprises.png").exists()


def test_an_unfinished_database_says_so(tmp_path: Path, database: Path) -> None:
    shutil.copytree(database, tmp_path / "db", ignore=shutil.ignore_patterns("splits"))
    path = tmp_path / "db" / "database.json"
    path.write_text(path.read_text().replace('"complete": true', '"complete": false'))
    assert "is not finished" in write_look(tmp_path / "db", tmp_path / "out").read_text()


def test_no_database(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no crop store"):
        write_look(tmp_path / "none", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_mosaic_has_its_tiles_in_order() -> None:
    tiles = [np.full((TILE, TILE, 3), value, dtype=np.uint8) for value in (10, 20, 30)]
    page = mosaic(tiles, ["", "", "x"], 2)
    assert page.shape == (2 * (TILE + 16), 2 * TILE, 3)
    assert page[5, 5, 0] == 10
    assert page[5, TILE + 5, 0] == 20
    assert page[TILE + 21, 5, 0] == 30
    assert (page[TILE : TILE + 16, :TILE] == 255).all()
    assert (page[2 * TILE + 16 :, :TILE] < 200).any(), "the caption"


def test_faces_are_those_asked_for(store_folder: Path) -> None:
    store = open_store(store_folder)
    for tile, row in zip(faces_of(store_folder, [50, 3]), (50, 3), strict=True):
        assert tile.shape == (TILE, TILE, 3)
        assert abs(float(tile.mean()) - float(store.whole[row].mean())) < 1


def test_a_table_escapes_and_aligns() -> None:
    table = html_table(("name", "n"), [("<a>", 1), ("b", 2.5)])
    assert table == (
        "<table><tr><th>name</th><th class=n>n</th></tr><tr><td>&lt;a&gt;</td><td class=n>1</td></tr>"
        "<tr><td>b</td><td class=n>2.5</td></tr></table>"
    )

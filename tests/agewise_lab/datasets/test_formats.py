"""The other systems' files: read as they write them, written as they read them, and there and back again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from agewise.types import Gender, UInt8Array
from agewise_lab.datasets._collect import IMPOSSIBLE_AGE
from agewise_lab.datasets.formats import crops as crops_module
from agewise_lab.datasets.formats import ssrnet_npz, yu4u_mat
from agewise_lab.datasets.formats.crops import UNKNOWN_CODE, GenderCode, LabelledCrops, resized
from agewise_lab.datasets.record import Record

FEMALE, MALE = Gender.FEMALE, Gender.MALE
MALE_IS_1, FEMALE_IS_1 = GenderCode.MALE_IS_1, GenderCode.FEMALE_IS_1


def images(count: int, side: int = 8) -> UInt8Array:
    return np.random.default_rng(3).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def yu4u_file(path: Path, **changes: Any) -> npt.NDArray[np.uint8]:
    """As its create_db.py ends; returns the pictures, BGR."""
    from scipy.io import savemat

    bgr = images(4)
    content = {
        "image": bgr,
        "gender": np.array([0, 1, 1, 0]),
        "age": np.array([5, 60, 100, 0]),
        "db": "wiki",
        "img_size": 8,
        "min_score": 1.5,
    }
    savemat(path, {key: value for key, value in (content | changes).items() if value is not None})
    return bgr


def ssrnet_file(path: Path, **changes: Any) -> npt.NDArray[np.uint8]:
    """As its TYY_IMDBWIKI_create_db.py ends; returns the pictures, BGR."""
    bgr = images(3)
    content = {"image": bgr, "gender": np.array([1, 0, 1]), "age": np.array([5, 60, 30]), "img_size": 8}
    np.savez(path, **{key: value for key, value in (content | changes).items() if value is not None})
    return bgr


# ---------------------------------------------------------------- reading


def test_yu4u_is_read(tmp_path: Path) -> None:
    bgr = yu4u_file(tmp_path / "wiki_db.mat")
    crops = yu4u_mat.read(tmp_path / "wiki_db.mat")
    assert np.array_equal(crops.images_rgb, bgr[..., ::-1])
    assert [(r.path, r.age_years, r.gender) for r in crops.records] == [
        ("wiki_db/000000", 5, FEMALE),
        ("wiki_db/000001", 60, MALE),
        ("wiki_db/000002", 100, MALE),
        ("wiki_db/000003", 0, FEMALE),
    ]
    assert (crops.source, crops.min_score, crops.side) == ("wiki", 1.5, 8)


@pytest.mark.parametrize(
    ("db", "code", "first"),
    [
        ("imdb", None, FEMALE),
        ("wiki", None, FEMALE),
        ("utk", None, MALE),
        ("other", FEMALE_IS_1, MALE),
        ("utk", MALE_IS_1, FEMALE),
    ],
)
def test_what_1_means_is_the_data_sets_own(tmp_path: Path, db: str, code: GenderCode | None, first: Gender) -> None:
    yu4u_file(tmp_path / "a.mat", db=db)
    assert yu4u_mat.read(tmp_path / "a.mat", code).records[0].gender is first


def test_ssrnet_is_read(tmp_path: Path) -> None:
    bgr = ssrnet_file(tmp_path / "imdb.npz")
    crops = ssrnet_npz.read(tmp_path / "imdb.npz", MALE_IS_1)
    assert np.array_equal(crops.images_rgb, bgr[..., ::-1])
    assert [(r.path, r.age_years, r.gender) for r in crops.records] == [
        ("imdb/000000", 5, MALE),
        ("imdb/000001", 60, FEMALE),
        ("imdb/000002", 30, MALE),
    ]
    assert ssrnet_npz.read(tmp_path / "imdb.npz", FEMALE_IS_1).records[0].gender is FEMALE


def test_its_morph2_has_floats_and_its_megaage_no_gender(tmp_path: Path) -> None:
    bgr = ssrnet_file(tmp_path / "morph.npz", image=images(3).astype(np.float64))
    assert np.array_equal(ssrnet_npz.read(tmp_path / "morph.npz", FEMALE_IS_1).images_rgb, bgr[..., ::-1])
    ssrnet_file(tmp_path / "megaage.npz", gender=None)
    assert [r.gender for r in ssrnet_npz.read(tmp_path / "megaage.npz").records] == [None] * 3


def test_bad_rows_are_named(tmp_path: Path) -> None:
    ssrnet_file(tmp_path / "a.npz", age=np.array([-5, 150, 30]), gender=np.array([1, 0, 7]))
    records = ssrnet_npz.read(tmp_path / "a.npz", MALE_IS_1).records
    assert [record.dropped for record in records] == [IMPOSSIBLE_AGE, IMPOSSIBLE_AGE, UNKNOWN_CODE]
    ssrnet_file(tmp_path / "b.npz", gender=np.array([1, 0, np.nan]))
    assert [r.dropped for r in ssrnet_npz.read(tmp_path / "b.npz", MALE_IS_1).records] == [None] * 3


READERS = {"mat": yu4u_mat.read, "npz": ssrnet_npz.read}
MAKERS = {"mat": yu4u_file, "npz": ssrnet_file}


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"age": None}, "missing: age"),
        ({"image": None}, "missing: image"),
        ({"age": np.array([1])}, "expected as many of each, found"),
        ({"image": np.zeros((3, 8, 8), np.uint8)}, r"expected images \(n, side, side, 3\), found \(3, 8, 8\)"),
        ({"image": np.full((3, 8, 8, 3), 300.0), "gender": None}, "missing|expected pixels 0 to 255, found float64"),
    ],
)
def test_other_arrays_are_refused(tmp_path: Path, kind: str, changes: dict[str, Any], message: str) -> None:
    path = tmp_path / f"a.{kind}"
    MAKERS[kind](path, **changes)
    with pytest.raises(ValueError, match=message):
        READERS[kind](path, MALE_IS_1)


@pytest.mark.parametrize("kind", READERS)
def test_who_is_female_is_never_guessed(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a.{kind}"
    MAKERS[kind](path, **({"db": "mine"} if kind == "mat" else {}))
    with pytest.raises(ValueError, match=r"say so \(gender code male-is-1, female-is-1\)"):
        READERS[kind](path)


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize("content", [b"", b"nonsense", b"PK\x03\x04" + bytes(100), b"MATLAB 5.0" + bytes(300)])
def test_other_files_are_refused(tmp_path: Path, kind: str, content: bytes) -> None:
    path = tmp_path / f"a.{kind}"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"a\.{kind}: expected"):
        READERS[kind](path, MALE_IS_1)


def test_pickles_are_not_opened(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", image=np.array([{"run": "me"}], dtype=object), age=np.array([1]))
    with pytest.raises(ValueError, match=r"a\.npz: expected a file of arrays by numpy.*allow_pickle=False"):
        ssrnet_npz.read(tmp_path / "a.npz")


# ---------------------------------------------------------------- writing


@pytest.fixture
def crops() -> LabelledCrops:
    """Five crops, two of which neither system can keep."""
    records = (
        Record("a", 5.4, FEMALE),
        Record("b", 60.6, MALE),
        Record("c", 7.0, None),
        Record("d", None, MALE),
        Record("e", 100.0, MALE),
    )
    return LabelledCrops(images(5), records)


def test_yu4u_reads_what_we_write(tmp_path: Path, crops: LabelledCrops) -> None:
    from scipy.io import loadmat

    assert yu4u_mat.write(tmp_path / "a.mat", crops, db="imdb", min_score=2.0) == 3
    d = loadmat(tmp_path / "a.mat")
    # as its load_data takes them
    assert np.array_equal(d["image"], crops.images_rgb[[0, 1, 4]][..., ::-1])
    assert d["image"].dtype == np.uint8
    assert d["gender"][0].tolist() == [0, 1, 1]
    assert d["age"][0].tolist() == [5, 61, 100]
    assert (d["db"][0], d["img_size"][0, 0], d["min_score"][0, 0]) == ("imdb", 8, 2.0)


def test_ssrnet_reads_what_we_write(tmp_path: Path, crops: LabelledCrops) -> None:
    assert ssrnet_npz.write(tmp_path / "a.npz", crops, code=FEMALE_IS_1) == 3
    with np.load(tmp_path / "a.npz") as d:
        assert np.array_equal(d["image"], crops.images_rgb[[0, 1, 4]][..., ::-1])
        assert d["gender"].tolist() == [1, 0, 0]
        assert d["age"].tolist() == [5, 61, 100]
        assert d["img_size"] == 8


@pytest.mark.parametrize("code", GenderCode)
def test_there_and_back_again(tmp_path: Path, crops: LabelledCrops, code: GenderCode) -> None:
    yu4u_mat.write(tmp_path / "a.mat", crops, db="mine", code=code)
    ssrnet_npz.write(tmp_path / "a.npz", crops, code=code)
    for back in (yu4u_mat.read(tmp_path / "a.mat", code), ssrnet_npz.read(tmp_path / "a.npz", code)):
        assert np.array_equal(back.images_rgb, crops.images_rgb[[0, 1, 4]])
        assert [(r.age_years, r.gender) for r in back.records] == [(5, FEMALE), (61, MALE), (100, MALE)]


def test_a_db_that_says_otherwise(tmp_path: Path, crops: LabelledCrops) -> None:
    with pytest.raises(ValueError, match=r"a file of db 'utk' is read as female-is-1, not as male-is-1"):
        yu4u_mat.write(tmp_path / "a.mat", crops, db="utk")
    assert list(tmp_path.iterdir()) == []


def test_more_than_a_mat_file_holds(tmp_path: Path, crops: LabelledCrops, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yu4u_mat, "_MOST_BYTES", 2 * 8 * 8 * 3)
    with pytest.raises(ValueError, match=r"3 crops of 8 pixels are more than a \.mat file holds \(2\)"):
        yu4u_mat.write(tmp_path / "a.mat", crops, db="imdb")


@pytest.mark.parametrize("write", [lambda p, c: yu4u_mat.write(p, c, db="x"), ssrnet_npz.write])
def test_nothing_to_write(tmp_path: Path, write: Callable[[Path, LabelledCrops], int]) -> None:
    with pytest.raises(ValueError, match=r"none of the 1 crops has both an age and a gender"):
        write(tmp_path / "a", LabelledCrops(images(1), (Record("c", 7.0, None),)))
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------- the crops


def test_resizing_averages() -> None:
    image = np.zeros((4, 4, 3), np.uint8)
    image[:2, :2] = 200
    (small,) = resized([image], 1, 2)
    assert small[..., 0].tolist() == [[200, 0], [0, 0]]
    (same,) = resized([image], 1, 4)
    assert np.array_equal(same, image)
    with pytest.raises(ValueError, match="the side must be 1 pixel or more, got 0"):
        resized([image], 1, 0)


@pytest.mark.parametrize(
    ("array", "records", "message"),
    [
        (np.zeros((1, 8, 8, 3), np.float32), 1, "got float32"),
        (np.zeros((1, 8, 9, 3), np.uint8), 1, r"got uint8 \(1, 8, 9, 3\)"),
        (np.zeros((1, 8, 8, 3), np.uint8), 2, "expected a record a crop, got 2 and 1 crops"),
    ],
)
def test_crops_that_are_none(array: npt.NDArray[Any], records: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LabelledCrops(array, (Record("a", 1.0, None),) * records)


def test_codes_are_opposites() -> None:
    for code in GenderCode:
        assert [code.gender_of(code.number_of(gender)) for gender in Gender] == list(Gender)
    assert MALE_IS_1.gender_of(1) is FEMALE_IS_1.gender_of(0) is MALE
    assert crops_module.GenderCode("male-is-1") is MALE_IS_1

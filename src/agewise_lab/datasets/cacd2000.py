"""CACD: 163,446 pictures of 2,000 celebrities aged 14 to 62, found by name and year.

Chen, Chen, Hsu: «Cross-Age Reference Coding for Age-Invariant Face Recognition and Retrieval», ECCV 2014.
Read from `celebrity2000_meta.mat` where it lies in the folder, else from the names
(`14_Aaron_Johnson_0001.jpg`: age, name, number). The `.mat` has the struct `celebrityImageData` with age,
identity, year, rank, lfw, birth, name; it is about as a plain file and, with the 75,520 features a picture, as
one of MATLAB 7.3 (HDF5): both are read, the features never. Fields as the owners' page
(http://bcsiriuschen.github.io/CARC/) states them.

The split follows the paper as it is usually told, which could not be confirmed here: celebrities of rank 1 and
2 are validation (80), of rank 3 to 5 test (120); only these pictures were checked by hand. Ages are the year
of the search less the year of birth: off by one at best, and wrong where the search was.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from agewise._files import shown
from agewise_lab.datasets._collect import UNREADABLE_NAME, Collector
from agewise_lab.datasets._folders import any_picture, require_folder, walk_pictures, wrong_layout
from agewise_lab.datasets._matlab import load_struct, texts
from agewise_lab.datasets.base import Access, Facts, Listing

NAME = "cacd2000"
FACTS = Facts(
    title="CACD2000",
    images="163,446",
    subjects="2,000",
    ages="14-62",
    labels="age (year of the search less year of birth), person; by hand only where ranked 1 to 5",
    gender_coding="none",
    terms="none stated; research; the pictures belong to their owners",
    access=Access.PAGE,
    url="http://bcsiriuschen.github.io/CARC/",
    how_to_get="fetch CACD2000.tar.gz and celebrity2000_meta.mat by the page's links; the second link is often dead, "
    "the names alone will do",
    paper="Chen, Chen, Hsu: Cross-Age Reference Coding for Age-Invariant Face Recognition and Retrieval, ECCV 2014",
    protocol="train 1,800 celebrities, validation 80, test 120",
    used_for="ordinal recipes (CORAL, CORN); many ages of one person",
)
EXPECTED_LAYOUT = """
FOLDER/
  celebrity2000_meta.mat          if you have it
  CACD2000/ (or here)
    14_Aaron_Johnson_0001.jpg     AGE_NAME_NUMBER
"""
META = "celebrity2000_meta.mat"

_NAME = re.compile(r"(?P<age>\d{1,3})_(?P<person>.+)_(?P<number>\d{4})\.jpe?g", re.IGNORECASE)
_STRUCT = "celebrityImageData"


@dataclass(frozen=True)
class _Row:
    name: str
    age: float
    rank: float | None


def _split(rank: float | None) -> str | None:
    if rank is None:
        return None
    return "validation" if rank <= 2 else "test" if rank <= 5 else "train"


def _rows(ages: Any, ranks: Any, names: list[str]) -> Iterator[_Row]:
    age_list = np.asarray(ages, dtype=np.float64).ravel()
    rank_list = None if ranks is None else np.asarray(ranks, dtype=np.float64).ravel()
    if len(age_list) != len(names) or (rank_list is not None and len(rank_list) != len(names)):
        raise ValueError(f"expected as many ages as names, found {len(age_list)} and {len(names)}")
    for i, name in enumerate(names):
        yield _Row(name, float(age_list[i]), None if rank_list is None else float(rank_list[i]))


def _plain_mat(path: Path) -> list[_Row]:
    struct = load_struct(path, _STRUCT)
    ranks = struct["rank"] if "rank" in struct.dtype.names else None
    return list(_rows(struct["age"], ranks, texts(struct["name"])))


def _hdf5_mat(path: Path) -> list[_Row]:
    import h5py

    with h5py.File(path, "r") as file:
        struct = file[_STRUCT]
        names = ["".join(map(chr, np.asarray(file[ref]).ravel())) for ref in np.asarray(struct["name"]).ravel()]
        return list(_rows(struct["age"][()], struct["rank"][()] if "rank" in struct else None, names))


def _load(path: Path) -> list[_Row]:
    with open(path, "rb") as file:
        is_hdf5 = b"MATLAB 7.3" in file.read(128)
    try:
        return _hdf5_mat(path) if is_hdf5 else _plain_mat(path)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, OSError) as error:
        raise ValueError(
            f"{shown(path)}: expected a MATLAB file with the struct {_STRUCT} of age and name: {error}"
        ) from error


def _is_root(folder: Path) -> bool:
    return (folder / META).is_file() or any_picture(folder, lambda name: _NAME.fullmatch(name) is not None)


def read_records(root: Path) -> Listing:
    """The rows of the `.mat` file where it is there, else all pictures by their names.

    Raises:
        LayoutError: neither the file nor a picture named as CACD names them.
        ValueError: the file is not as it should be.
    """
    require_folder(FACTS.title, root)
    collector = Collector(root)
    if (root / META).is_file():
        folder = "CACD2000/" if (root / "CACD2000").is_dir() else ""
        for row in _load(root / META):
            match = _NAME.fullmatch(row.name)
            person = match["person"] if match else None
            collector.add(f"{folder}{row.name}", row.age, None, subject=person, split=_split(row.rank))
        return collector.listing()
    known = 0
    for path in walk_pictures(root):
        match = _NAME.fullmatch(path.rpartition("/")[2])
        if match is None:
            collector.add(path, None, None, dropped=UNREADABLE_NAME)
        else:
            known += 1
            collector.add(path, float(match["age"]), None, subject=match["person"])
    if not known:
        missing = f"neither {META} nor a picture named like 14_Aaron_Johnson_0001.jpg is there"
        raise wrong_layout(FACTS.title, root, EXPECTED_LAYOUT, missing, _is_root)
    collector.notes.append(f"{META} is not there: ages and people are from the names, and there is no split")
    return collector.listing()

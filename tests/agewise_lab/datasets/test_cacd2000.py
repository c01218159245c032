"""CACD by its `.mat` file, in both of MATLAB's formats, and by its file names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agewise_lab.datasets._collect import IMPOSSIBLE_AGE, LISTED_TWICE, NO_PICTURE, UNREADABLE_NAME
from agewise_lab.datasets.cacd2000 import META, read_records

Touch = Callable[..., None]
ROWS: list[tuple[str, float, int]] = [
    ("53_Robin_Williams_0001.jpg", 53, 2),
    ("14_Aaron_Johnson_0001.jpg", 14, 5),
    ("20_Renée_O'Connor_0002.jpg", 20, 6),
    ("53_Robin_Williams_0001.jpg", 53, 2),
    ("9_Gone_0001.jpg", 9, 2),
    ("20_Renée_O'Connor_0003.jpg", 150, 6),
]


@pytest.fixture
def root(tmp_path: Path, touch: Touch) -> Path:
    touch(tmp_path, *(f"CACD2000/{name}" for name, _, _ in ROWS if "Gone" not in name))
    return tmp_path


def _write_plain(path: Path) -> None:
    """As scipy writes MATLAB 5: a 1×1 struct of n×1 columns, the names in cells."""
    from scipy.io import savemat

    names = np.empty((len(ROWS), 1), dtype=object)
    for i, (name, _, _) in enumerate(ROWS):
        names[i, 0] = name
    column = {key: np.array([[row[i]] for row in ROWS], dtype=float) for key, i in (("age", 1), ("rank", 2))}
    savemat(path, {"celebrityImageData": {**column, "name": names}})


def _write_hdf5(path: Path) -> None:
    """As MATLAB 7.3 does: a group, the names as references to arrays of characters, a header of 512 bytes before."""
    import h5py

    with h5py.File(path, "w", userblock_size=512) as file:
        group = file.create_group("celebrityImageData")
        references: Any = np.empty((1, len(ROWS)), dtype=h5py.ref_dtype)
        for i, (name, _, _) in enumerate(ROWS):
            text = file.create_dataset(f"#refs#/{i}", data=np.array([[ord(c)] for c in name], dtype=np.uint16))
            references[0, i] = text.ref
        group.create_dataset("name", data=references, dtype=h5py.ref_dtype)
        group.create_dataset("age", data=np.array([[row[1] for row in ROWS]], dtype=float))
        group.create_dataset("rank", data=np.array([[row[2] for row in ROWS]], dtype=float))
    with open(path, "r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\0\2IM")


@pytest.mark.parametrize("write_mat", [_write_plain, _write_hdf5])
def test_the_metadata_in_both_formats(root: Path, write_mat: Callable[[Path], None]) -> None:
    write_mat(root / META)
    listing = read_records(root)
    assert [record.dropped for record in listing.records] == [
        *(None, None, None, LISTED_TWICE, NO_PICTURE, IMPOSSIBLE_AGE),
    ]
    assert [(r.path, r.age_years, r.subject, r.split) for r in listing.usable] == [
        ("CACD2000/53_Robin_Williams_0001.jpg", 53, "Robin_Williams", "validation"),
        ("CACD2000/14_Aaron_Johnson_0001.jpg", 14, "Aaron_Johnson", "test"),
        ("CACD2000/20_Renée_O'Connor_0002.jpg", 20, "Renée_O'Connor", "train"),
    ]


def test_the_names_alone(root: Path, touch: Touch) -> None:
    touch(root, "CACD2000/cover.jpg")
    listing = read_records(root)
    assert [(r.age_years, r.subject, r.split) for r in listing.usable] == [
        (14, "Aaron_Johnson", None),
        (20, "Renée_O'Connor", None),
        (20, "Renée_O'Connor", None),
        (53, "Robin_Williams", None),
    ]
    assert [(r.path, r.dropped) for r in listing.dropped] == [("CACD2000/cover.jpg", UNREADABLE_NAME)]
    assert listing.notes == (f"{META} is not there: ages and people are from the names, and there is no split",)


@pytest.mark.parametrize(
    "content", [b"", b"MATLAB 5.0 MAT-file" + bytes(300), b"MATLAB 7.3 MAT-file".ljust(512) + bytes(2000)]
)
def test_a_damaged_file_is_named(root: Path, content: bytes) -> None:
    (root / META).write_bytes(content)
    with pytest.raises(ValueError, match=rf"{META}: expected a MATLAB file with the struct celebrityImageData"):
        read_records(root)

"""A small tree of each data set in its real format, made by code; no picture in it is a research image."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

SHARED = Path(__file__).resolve().parents[3] / "../shared"


def touch(root: Path, *names: str) -> None:
    """Empty files, with their folders: readers look at names only."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def write(path: Path, *lines: str, end: str = "\n", encoding: str = "utf-8") -> None:
    """A text file of lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes((end.join(lines) + end).encode(encoding))


def cell_row(values: Iterable[Any]) -> np.ndarray:
    """A 1×n cell array, as scipy writes and reads MATLAB's."""
    items = list(values)
    row = np.empty((1, len(items)), dtype=object)
    for i, value in enumerate(items):
        row[0, i] = value
    return row


def write_imdb_mat(path: Path, variable: str, rows: list[dict[str, Any]], without: tuple[str, ...] = ()) -> None:
    """The metadata as the owners have it: a 1×1 struct of 1×n rows, cells for texts and boxes."""
    from scipy.io import savemat

    usual = {
        "dob": 711860,  # 1949-01-01
        "photo_taken": 1999,
        "full_path": "00/a.jpg",
        "gender": 1.0,
        "name": "Somebody",
        "face_location": [11.0, 21.0, 110.0, 120.0],
        "face_score": 3.0,
        "second_face_score": np.nan,
        "celeb_id": 7.0,
    }
    table = {field: [{**usual, **row}[field] for row in rows] for field in usual if field not in without}
    struct: dict[str, Any] = {}
    for field, values in table.items():
        if field in ("full_path", "name"):
            struct[field] = cell_row(values)
        elif field == "face_location":
            struct[field] = cell_row(np.array([value]) for value in values)
        else:
            struct[field] = np.array([values])
    savemat(path, {variable: struct})


def make_imdb(root: Path) -> None:
    touch(root, "00/a.jpg", "00/b.jpg")
    write_imdb_mat(root / "imdb.mat", "imdb", [{}, {"full_path": "00/b.jpg", "gender": 0.0}])


def make_wiki(root: Path) -> None:
    touch(root, "00/a.jpg")
    write_imdb_mat(root / "wiki.mat", "wiki", [{}], without=("celeb_id",))


def make_imdb_clean(root: Path) -> None:
    head = "filename,age,gender,x_min,y_min,x_max,y_max,head_roll,head_yaw,head_pitch"
    for split, name in (("train", "00/nm1_a.jpg"), ("valid", "00/nm2_a.jpg"), ("test", "00/nm3_a.jpg")):
        touch(root, f"data/imdb-clean-1024/{name}")
        write(root / f"csvs/imdb_{split}_new_1024.csv", head, f"{name},30,M,10,20,110,120,0.1,0.2,0.3")


MORPH_HEAD = "id_num,picture_num,dob,doa,race,gender,facial_hair,age,age_diff,glasses,photo"


def make_morph2(root: Path) -> None:
    touch(root, "Album2/009055_1M54.JPG")
    row = "009055,1,07/05/1949,01/14/2004,W,M,NULL,54,,NULL,Album2/009055_1M54.JPG"
    write(root / "morph_2008_nonCommercial.csv", MORPH_HEAD, row)


def make_megaage_asian(root: Path) -> None:
    touch(root, "train/1.jpg", "train/2.jpg", "test/1.jpg")
    write(root / "list/train_name.txt", "1.jpg", "2.jpg")
    write(root / "list/train_age.txt", "4", "61")
    write(root / "list/test_name.txt", "1.jpg")
    write(root / "list/test_age.txt", "33")


def make_utkface(root: Path) -> None:
    touch(root, "26_1_2_20170116184024662.jpg.chip.jpg", "61_1_20170109142408075.jpg.chip.jpg")


ADIENCE_HEAD = "\t".join(
    [
        *("user_id", "original_image", "face_id", "age", "gender", "x", "y", "dx", "dy"),
        *("tilt_ang", "fiducial_yaw_angle", "fiducial_score"),
    ]
)


def adience_row(user: str, image: str, face: int, age: str, gender: str) -> str:
    return "\t".join([user, image, str(face), age, gender, "0", "414", "1086", "1383", "-115", "30", "17"])


def make_adience(root: Path) -> None:
    for fold in range(5):
        touch(root, f"aligned/user{fold}@N0/landmark_aligned_face.1.a_o.jpg")
        write(
            root / f"fold_{fold}_data.txt", ADIENCE_HEAD, adience_row(f"user{fold}@N0", "a_o.jpg", 1, "(25, 32)", "f")
        )


def make_appa_real(root: Path) -> None:
    head = "file_name,num_ratings,apparent_age_avg,apparent_age_std,real_age"
    votes = "file_name,real_age,apparent_age,worker_age,worker_gender"
    for split in ("train", "valid", "test"):
        touch(root, f"{split}/000000.jpg", f"{split}/000000.jpg_face.jpg")
        write(root / f"gt_avg_{split}.csv", head, "000000.jpg,2,5.05,1.5,4")
        write(root / f"gt_{split}.csv", votes, "000000.jpg,4,4,30,female", "000000.jpg,4,6,41,male")


def make_fgnet(root: Path) -> None:
    touch(root, "images/001A02.JPG", "images/001A43a.JPG", "points/001a02.pts")


def make_agedb(root: Path) -> None:
    touch(root, "0_MariaCallas_35_f.jpg", "16020_MorganFreeman _73_m.jpg")


def make_cacd2000(root: Path) -> None:
    touch(root, "CACD2000/14_Aaron_Johnson_0001.jpg", "CACD2000/53_Robin_Williams_0001.jpg")


def make_afad(root: Path) -> None:
    touch(root, "15/111/638660-1.jpg", "40/112/99-0.jpg")


def make_fairface(root: Path) -> None:
    head = "file,age,gender,race,service_test"
    touch(root, "train/1.jpg", "val/1.jpg")
    write(root / "fairface_label_train.csv", head, "train/1.jpg,50-59,Male,East Asian,True")
    write(root / "fairface_label_val.csv", head, "val/1.jpg,more than 70,Female,Black,False")


LAGENDA_HEAD = "img_name,age,gender,face_x0,face_y0,face_x1,face_y1,person_x0,person_y0,person_x1,person_y1"


def make_lagenda(root: Path) -> None:
    touch(root, "lag_benchmark/b5.jpg")
    write(root / "lagenda_annotation.csv", LAGENDA_HEAD, "lag_benchmark/b5.jpg,31.0,F,10,20,60,80,0,10,100,300")


def make_all_age_faces(root: Path) -> None:
    touch(root, "original images/00000A02.jpg", "original images/07381A80.jpg", "aglined faces/00000A02.jpg")
    write(root / "image sets/train.txt", "00000A02.jpg 0")
    write(root / "image sets/val.txt", "07381A80.jpg 1")


def make_own(root: Path) -> None:
    touch(root, "26/a.jpg", "4.5/b.png")


MAKERS: dict[str, Callable[[Path], None]] = {
    "imdb": make_imdb,
    "wiki": make_wiki,
    "imdb-clean": make_imdb_clean,
    "morph2": make_morph2,
    "megaage-asian": make_megaage_asian,
    "utkface": make_utkface,
    "adience": make_adience,
    "appa-real": make_appa_real,
    "fgnet": make_fgnet,
    "agedb": make_agedb,
    "cacd2000": make_cacd2000,
    "afad": make_afad,
    "fairface": make_fairface,
    "lagenda": make_lagenda,
    "all-age-faces": make_all_age_faces,
    "own": make_own,
}


@pytest.fixture(scope="session")
def makers() -> dict[str, Callable[[Path], None]]:
    """How to make a small tree of each data set, by name."""
    return MAKERS


@pytest.fixture(scope="session", name="touch")
def touch_fixture() -> Callable[..., None]:
    """`touch(root, *names)`: empty files, with their folders."""
    return touch


@pytest.fixture(scope="session", name="write")
def write_fixture() -> Callable[..., None]:
    """`write(path, *lines, end="\\n", encoding="utf-8")`: a text file."""
    return write


@pytest.fixture(scope="session", name="write_imdb_mat")
def write_imdb_mat_fixture() -> Callable[..., None]:
    """`write_imdb_mat(path, variable, rows, without=())`: the metadata of IMDB or WIKI."""
    return write_imdb_mat


@pytest.fixture(scope="session", name="adience_row")
def adience_row_fixture() -> Callable[..., str]:
    """`adience_row(user, image, face, age, gender)`: a line of a fold list."""
    return adience_row


@pytest.fixture(scope="session")
def adience_folds() -> Path:
    """The folder of Adience's own five fold lists; it lies beside the checkout."""
    folder = SHARED / "data" / "adience_folds"
    if not folder.is_dir():
        pytest.skip("Adience's fold lists are not on hand (../shared/data/adience_folds)")
    return folder


@pytest.fixture(scope="session")
def ignore_list() -> Path:
    """yu4u's list of bad APPA-REAL pictures; it lies beside the checkout."""
    path = SHARED / "data" / "appa_real_ignore_list.txt"
    if not path.is_file():
        pytest.skip("APPA-REAL's ignore list is not on hand (../shared/data/appa_real_ignore_list.txt)")
    return path

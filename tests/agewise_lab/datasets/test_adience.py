"""The fold lists in their real format, what becomes of labels outside the classes, and the counts of the real lists."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from agewise.types import Gender
from agewise_lab.datasets._collect import LISTED_TWICE, NO_AGE, NO_PICTURE
from agewise_lab.datasets.adience import CLASSES, LABELS, OUTSIDE_CLASSES, UNKNOWN_LABEL, class_of, read_records
from agewise_lab.datasets.base import LayoutError

Touch = Callable[..., None]
Write = Callable[..., None]
Row = Callable[..., str]
HEAD = "user_id\toriginal_image\tface_id\tage\tgender\tx\ty\tdx\tdy\ttilt_ang\tfiducial_yaw_angle\tfiducial_score"


@pytest.mark.parametrize(
    ("label", "exact", "inside", "nearest"),
    [
        ("(25, 32)", (25, 32), (25, 32), (25, 32)),
        ("(60, 100)", (60, 100), (60, 100), (60, 100)),
        ("(25, 23)", None, (25, 32), (25, 32)),
        ("(27, 32)", None, (25, 32), (25, 32)),
        ("(38, 48)", None, (38, 43), (38, 43)),
        ("(8, 23)", None, None, None),
        ("2", None, (0, 2), (0, 2)),
        ("29", None, (25, 32), (25, 32)),
        ("42", None, (38, 43), (38, 43)),
        ("3", None, None, (0, 2)),
        ("13", None, None, (8, 12)),
        ("22", None, None, (15, 20)),
        ("23", None, None, (25, 32)),
        ("35", None, None, (25, 32)),  # 3 years from both: the younger
        ("36", None, None, (38, 43)),
        ("45", None, None, (38, 43)),
        ("46", None, None, (48, 53)),
        ("55", None, None, (48, 53)),
        ("57", None, None, (60, 100)),
        ("None", None, None, None),
        ("", None, None, None),
        ("150", None, None, None),
    ],
)
def test_labels(
    label: str, exact: tuple[int, int] | None, inside: tuple[int, int] | None, nearest: tuple[int, int] | None
) -> None:
    assert [class_of(label, choice) for choice in ("exact", "inside", "nearest")] == [exact, inside, nearest]


def test_rows_good_and_bad(tmp_path: Path, touch: Touch, write: Write, adience_row: Row) -> None:
    images = [f"{i}_o.jpg" for i in range(9)]
    touch(tmp_path, *(f"aligned/u 1@N0/landmark_aligned_face.7.{image}" for image in images))
    write(
        tmp_path / "fold_3_data.txt",
        HEAD,
        adience_row("u 1@N0", images[0], 7, "(4, 6)", "f"),
        adience_row("u 1@N0", images[1], 7, "(4, 6)", "m"),
        adience_row("u 1@N0", images[2], 7, "(4, 6)", "u"),
        adience_row("u 1@N0", images[3], 7, "35", ""),
        adience_row("u 1@N0", images[4], 7, "2", "m"),
        adience_row("u 1@N0", images[5], 7, "None", "f"),
        adience_row("u 1@N0", images[6], 7, "old", "f"),
        adience_row("u 1@N0", images[0], 7, "(4, 6)", "f"),
        adience_row("u 1@N0", images[0], 8, "(4, 6)", "f"),
        "u 1@N0\t7_o.jpg",
        end="\r\n",
    )
    listing = read_records(tmp_path)
    reasons = [None, None, None, OUTSIDE_CLASSES, None, NO_AGE, UNKNOWN_LABEL, LISTED_TWICE, NO_PICTURE, NO_AGE]
    assert [record.dropped for record in listing.records] == reasons
    assert [record.gender for record in listing.usable] == [Gender.FEMALE, Gender.MALE, None, Gender.MALE]
    first, last = listing.usable[0], listing.usable[-1]
    assert first.path == "aligned/u 1@N0/landmark_aligned_face.7.0_o.jpg"
    assert (first.age_years, first.age_range_years, first.subject, first.split) == (None, (4, 6), "u 1@N0", "fold 3")
    assert (last.age_years, last.age_range_years) == (2, (0, 2))
    assert listing.notes == ("1 of five fold lists are there: 3",)
    assert read_records(tmp_path, outside="nearest").records[3].age_range_years == (25, 32)


def test_the_faces_that_are_turned_only(tmp_path: Path, touch: Touch, write: Write, adience_row: Row) -> None:
    touch(tmp_path, "faces/u@N0/coarse_tilt_aligned_face.1.a.jpg")
    write(tmp_path / "fold_0_data.txt", HEAD, adience_row("u@N0", "a.jpg", 1, "(0, 2)", "m"))
    assert read_records(tmp_path).usable[0].path == "faces/u@N0/coarse_tilt_aligned_face.1.a.jpg"


def test_lists_without_faces(tmp_path: Path, write: Write) -> None:
    write(tmp_path / "fold_0_data.txt", HEAD)
    with pytest.raises(LayoutError, match=r"the lists are there, but neither aligned/ nor faces/"):
        read_records(tmp_path)


def test_wrong_choices_and_columns(tmp_path: Path, write: Write) -> None:
    with pytest.raises(ValueError, match=r"outside must be one of exact, inside, nearest, got 'all'"):
        read_records(tmp_path, outside="all")
    (tmp_path / "aligned").mkdir()
    write(tmp_path / "fold_0_data.txt", "user_id,original_image,face_id,age,gender")
    with pytest.raises(ValueError, match=r"fold_0_data\.txt: expected the columns user_id, original_image"):
        read_records(tmp_path)


# ---------------------------------------------------------------- the real lists


@pytest.fixture(scope="module")
def real_root(tmp_path_factory: pytest.TempPathFactory, adience_folds: Path) -> Path:
    """The real lists beside empty files of the names that they state."""
    root = tmp_path_factory.mktemp("adience")
    for path in adience_folds.iterdir():
        (root / path.name).symlink_to(path)
        for line in path.read_text().splitlines()[1:]:
            user, image, face = line.split("\t")[:3]
            file = root / "aligned" / user / f"landmark_aligned_face.{face}.{image}"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
    return root


def test_the_real_lists_are_read_whole(real_root: Path) -> None:
    listing = read_records(real_root)
    assert len(listing.records) == 19_487
    by_fold = Counter(split for split, _ in {(record.split, record.path) for record in listing.records})
    # As MiVOLO's README counts them.
    assert by_fold == {"fold 0": 4484, "fold 1": 3730, "fold 2": 3894, "fold 3": 3446, "fold 4": 3816}
    assert listing.drops_by_reason() == {OUTSIDE_CLASSES: 1086, NO_AGE: 753, LISTED_TWICE: 108}
    assert len({record.subject for record in listing.records}) == 168
    folds_by_user: dict[str | None, set[str | None]] = {}
    for record in listing.records:
        folds_by_user.setdefault(record.subject, set()).add(record.split)
    assert all(len(folds) == 1 for folds in folds_by_user.values()), "folds share no album"


def test_every_other_label_of_the_real_lists_has_its_line_in_the_table(adience_folds: Path) -> None:
    labels = Counter(
        line.split("\t")[3] for path in adience_folds.iterdir() for line in path.read_text().splitlines()[1:]
    )
    others = set(labels) - {f"({low}, {high})" for low, high in CLASSES} - {"None"}
    assert others == set(LABELS)


def test_nearest_gives_the_counts_that_others_have_published(real_root: Path) -> None:
    counts = Counter(record.age_range_years for record in read_records(real_root, outside="nearest").usable)
    # MiVOLO's README, which takes the one (8, 23) for 8-12, has 2,293 there; all others are the same.
    assert [counts[low, high] for low, high in CLASSES] == [2509, 2140, 2292, 1791, 5589, 2490, 909, 901]


def test_the_document_counts_as_the_real_lists_do(adience_folds: Path) -> None:
    rows = [line.split("\t") for path in adience_folds.iterdir() for line in path.read_text().splitlines()[1:]]
    by_row = Counter(row[3] for row in rows)
    by_face = Counter({tuple(row[:3]): row[3] for row in rows}.values())
    document = (Path(__file__).parents[3] / "docs" / "datasets.md").read_text(encoding="utf-8")
    for label, count in by_row.items():
        found = (class_of(label, choice) for choice in ("exact", "inside", "nearest"))
        classes = ("dropped" if one is None else f"{one[0]}-{one[1]}" for one in found)
        assert f"| `{label}` | {count:,} | {by_face[label]:,} | {' | '.join(classes)} |" in document

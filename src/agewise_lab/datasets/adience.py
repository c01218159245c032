"""Adience: 19,370 faces of phone photos in five folds that share no album, ages in eight classes.

Eidinger, Enbar, Hassner: «Age and Gender Estimation of Unfiltered Faces», IEEE TIFS 2014. The five lists
`fold_N_data.txt` are tables with tabs: user_id, original_image, face_id, age, gender, x, y, dx, dy, tilt_ang,
fiducial_yaw_angle, fiducial_score. The face is `aligned/USER/landmark_aligned_face.FACEID.IMAGE` (or
`faces/USER/coarse_tilt_aligned_face.FACEID.IMAGE`). Gender is m or f; u, and in many rows nothing, is unknown:
such faces keep their age.

The age is one of eight classes, most of the time. `LABELS` says what becomes of all other labels, and
`outside` chooses: "inside" (default) takes slips of the pen and labels that lie inside a class, or overlap one
class more than any other, for that class, and drops what lies between classes; "exact" drops all but the eight
classes, as Levi and Hassner's and LMTCNN's lists do; "nearest" also takes a single age for the class whose end
is nearest, the younger of two. The user's album stands for the subject: people inside it are not told apart.
"""

from __future__ import annotations

import re
from pathlib import Path

from agewise_lab.datasets import _tables
from agewise_lab.datasets._collect import NO_AGE, Collector
from agewise_lab.datasets._folders import require_folder, wrong_layout
from agewise_lab.datasets.base import Access, Facts, Listing

NAME = "adience"
FACTS = Facts(
    title="Adience",
    images="19,370 in the five folds, of 26,580",
    subjects="2,284 (the lists name albums, not people)",
    ages="eight classes: 0-2 4-6 8-12 15-20 25-32 38-43 48-53 60-100",
    labels="class of ages, gender",
    gender_coding="f, m, u (unknown), empty",
    terms="research only; see the owners' page",
    access=Access.FORM,
    url="https://talhassner.github.io/home/projects/Adience/Adience-data.html",
    how_to_get="the page's form gives the name and password for the archive; the fold lists lie beside it",
    paper="Eidinger, Enbar, Hassner: Age and Gender Estimation of Unfiltered Faces, IEEE TIFS 2014",
    protocol="five folds: exact, one-off and gender accuracy, mean and standard deviation",
    used_for="the classification protocol of Levi-Hassner and LMTCNN",
)
EXPECTED_LAYOUT = """
FOLDER/
  fold_0_data.txt … fold_4_data.txt
  aligned/ (or faces/)
    30601258@N03/
      landmark_aligned_face.1.10399646885_67c7d20df9_o.jpg
"""
CLASSES = ((0, 2), (4, 6), (8, 12), (15, 20), (25, 32), (38, 43), (48, 53), (60, 100))
OUTSIDE_CLASSES = "its age label is outside the eight classes"
UNKNOWN_LABEL = "its age label cannot be read"

LABELS: dict[str, tuple[int, int] | None] = {
    "(25, 23)": (25, 32),  # a slip of the pen
    "(27, 32)": (25, 32),  # inside
    "(38, 42)": (38, 43),  # inside
    "(38, 48)": (38, 43),  # overlaps this class by six years, the next by one
    "(8, 23)": None,  # over two classes
    "2": (0, 2),
    "29": (25, 32),
    "32": (25, 32),
    "42": (38, 43),
    "3": None,
    "13": None,
    "22": None,
    "23": None,
    "34": None,
    "35": None,
    "36": None,
    "45": None,
    "46": None,
    "55": None,
    "56": None,
    "57": None,
    "58": None,
}
"""The class of each label of the real lists that is not one of the eight, by `outside="inside"`; None is dropped."""

CHOICES = ("exact", "inside", "nearest")
_PAIR = re.compile(r"\((\d{1,3}), ?(\d{1,3})\)")
_PLACES = (("aligned", "landmark_aligned_face"), ("faces", "coarse_tilt_aligned_face"), ("", "landmark_aligned_face"))
_FOLDS = range(5)


def class_of(label: str, outside: str = "inside") -> tuple[int, int] | None:
    """The class that a label stands for, or None.

    >>> class_of("(25, 32)"), class_of("(27, 32)"), class_of("35"), class_of("35", "nearest")
    ((25, 32), (25, 32), None, (25, 32))
    """
    pair = _PAIR.fullmatch(label)
    if pair is not None and (int(pair[1]), int(pair[2])) in CLASSES:
        return int(pair[1]), int(pair[2])
    if outside == "exact":
        return None
    if label in LABELS and (LABELS[label] is not None or outside == "inside"):
        return LABELS[label]
    age = _tables.number(label)
    if age is None or age > CLASSES[-1][1]:
        return None
    low, high = min(CLASSES, key=lambda ends: max(ends[0] - age, age - ends[1], 0))
    return (low, high) if outside == "nearest" or low <= age <= high else None


def _folds(root: Path) -> dict[int, Path]:
    paths = {fold: root / f"fold_{fold}_data.txt" for fold in _FOLDS}
    return {fold: path for fold, path in paths.items() if path.is_file()}


def read_records(root: Path, *, outside: str = "inside") -> Listing:
    """All rows of the fold lists that are there.

    Args:
        root: the folder of the lists and of `aligned` or `faces`.
        outside: "exact", "inside" or "nearest": what becomes of labels that are none of the eight classes.

    Raises:
        LayoutError: no list, or neither folder of faces.
        ValueError: a list lacks a column, or `outside` is something else.
    """
    if outside not in CHOICES:
        raise ValueError(f"outside must be one of {', '.join(CHOICES)}, got {outside!r}")
    require_folder(FACTS.title, root)
    folds = _folds(root)
    if not folds:
        missing = "none of fold_0_data.txt to fold_4_data.txt is there"
        raise wrong_layout(FACTS.title, root, EXPECTED_LAYOUT, missing, lambda folder: bool(_folds(folder)))
    place, prefix = next(((p, prefix) for p, prefix in _PLACES if p and (root / p).is_dir()), _PLACES[-1])
    if not place and not any("@" in child.name for child in root.iterdir() if child.is_dir()):
        raise wrong_layout(FACTS.title, root, EXPECTED_LAYOUT, "the lists are there, but neither aligned/ nor faces/")
    collector = Collector(root)
    if len(folds) < len(_FOLDS):
        collector.notes.append(f"{len(folds)} of five fold lists are there: {', '.join(map(str, folds))}")
    for fold, path in folds.items():
        for row in _tables.read_rows(path, ["user_id", "original_image", "face_id", "age", "gender"], "\t"):
            face = f"{row['user_id']}/{prefix}.{row['face_id']}.{row['original_image']}"
            range_years, dropped = _judge(row["age"], outside)
            collector.add(
                f"{place}/{face}" if place else face,
                _tables.number(row["age"]),
                _tables.gender(row["gender"]),
                dropped=dropped,
                age_range_years=range_years,
                subject=row["user_id"] or None,
                split=f"fold {fold}",
            )
    return collector.listing()


def _judge(label: str, outside: str) -> tuple[tuple[float, float] | None, str | None]:
    """(the class, why the face is of no use) of a label."""
    found = class_of(label, outside)
    if found is not None:
        return (float(found[0]), float(found[1])), None
    if label in ("", "None"):
        return None, NO_AGE
    known = _PAIR.fullmatch(label) is not None or _tables.number(label) is not None
    return None, OUTSIDE_CLASSES if known else UNKNOWN_LABEL

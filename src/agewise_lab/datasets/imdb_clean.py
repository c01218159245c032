"""IMDB-clean: IMDB relabelled by clustering faces, with boxes and official splits.

Lin, Shen, Wang, Pantic: «FP-Age: Leveraging Face Parsing Attention for Facial Age Estimation in the Wild»,
IEEE TIP 2022. The annotations are MIT, the pictures are IMDB's. Tree and file names as the owners' README has
them (https://github.com/yiminglin-ai/imdb-clean): `csvs/imdb_{train,valid,test}_new_1024.csv` for the crops of
1024 pixels that their script makes, `…_new.csv` for the whole pictures of IMDB. The columns (filename, age,
gender, x_min, y_min, x_max, y_max, head_roll, head_yaw, head_pitch) are known from public code that reads
them, not from the owners; only the first two are required. Boxes belong to the edition that they come with.
"""

from __future__ import annotations

from pathlib import Path

from agewise_lab.datasets import _tables
from agewise_lab.datasets._collect import Collector
from agewise_lab.datasets._folders import require_folder, wrong_layout
from agewise_lab.datasets.base import Access, Facts, Listing

NAME = "imdb-clean"
FACTS = Facts(
    title="IMDB-clean",
    images="285,943 (183,886 train, 45,971 valid, 56,086 test)",
    subjects="7,046 (from memory of the paper, not confirmed)",
    ages="1-95",
    labels="age and gender of IMDB after clustering faces; face boxes; head pose",
    gender_coding="M, F",
    terms="annotations MIT; pictures as IMDB: academic research only",
    access=Access.PAGE,
    url="https://github.com/yiminglin-ai/imdb-clean",
    how_to_get="clone it and run its run_all.sh: it fetches IMDB's whole pictures and cuts them",
    paper="Lin, Shen, Wang, Pantic: FP-Age: Leveraging Face Parsing Attention for Facial Age Estimation, TIP 2022",
    protocol="official train, valid and test, apart by subject",
    used_for="large-scale training with cleaner labels than IMDB's",
)
EXPECTED_LAYOUT = """
FOLDER/
  csvs/ (or here)
    imdb_train_new_1024.csv
    imdb_valid_new_1024.csv
    imdb_test_new_1024.csv
  data/imdb-clean-1024/ (or imdb-clean-1024/)
    00/nm0000100_….jpg
"""

_SPLITS = ("train", "valid", "test")
_EDITIONS = {
    "imdb_{}_new_1024.csv": ("data/imdb-clean-1024", "imdb-clean-1024", ""),
    "imdb_{}_new.csv": ("data/imdb", "imdb", ""),
}


def _tables_of(root: Path) -> tuple[dict[str, Path], tuple[str, ...]]:
    """(split → table, where the pictures may lie) of the first edition that is there; the tables may be none."""
    for pattern, places in _EDITIONS.items():
        for folder in (root / "csvs", root):
            found = {split: folder / pattern.format(split) for split in _SPLITS}
            found = {split: path for split, path in found.items() if path.is_file()}
            if found:
                return found, places
    return {}, ()


def read_records(root: Path) -> Listing:
    """All rows of the three tables; of the crops of 1024 pixels where both editions are there.

    Raises:
        LayoutError: no table, or no folder of pictures.
        ValueError: a table lacks a column.
    """
    require_folder(FACTS.title, root)
    tables, places = _tables_of(root)
    if not tables:
        missing = "none of imdb_{train,valid,test}_new_1024.csv is there"
        raise wrong_layout(FACTS.title, root, EXPECTED_LAYOUT, missing, lambda folder: bool(_tables_of(folder)[0]))
    place = next((place for place in places if (root / place / "00").is_dir()), None)
    if place is None:
        where = " nor ".join(f"{place or '.'}/00" for place in places)
        raise wrong_layout(FACTS.title, root, EXPECTED_LAYOUT, f"the tables are there, but neither {where}")
    collector = Collector(root)
    absent = [split for split in _SPLITS if split not in tables]
    if absent:
        collector.notes.append(f"no table of the split {', '.join(absent)}")
    for split, path in tables.items():
        for row in _tables.read_rows(path, ["filename", "age"]):
            name = row["filename"]
            collector.add(
                f"{place}/{name}" if place and name else name,
                _tables.number(row["age"]),
                _tables.gender(row.get("gender")),
                box_xyxy=_tables.box(*(row.get(key) for key in ("x_min", "y_min", "x_max", "y_max"))),
                subject=name.rpartition("/")[2].partition("_")[0] or None,
                split=split,
            )
    return collector.listing()

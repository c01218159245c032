"""From a folder in a data set's real format, through its reader, to the faces that its protocol tests on."""

from __future__ import annotations

from pathlib import Path

import pytest

from agewise_lab.evaluation.protocols import find_protocol, make_plan, read

pytest.importorskip("agewise_lab.datasets.registry", reason="the readers of these data sets are not in this tree")


def _touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def _tested(name: str, root: Path, part: str | None = None) -> dict[str, list[str]]:
    protocol = find_protocol(name)
    records, _ = read(protocol, root)
    plan = make_plan(protocol, records, part)
    return {fold.name: sorted(record.path for record in fold.test) for fold in plan.folds}


def test_adience(tmp_path: Path) -> None:
    heading = (
        "user_id\toriginal_image\tface_id\tage\tgender\tx\ty\tdx\tdy\ttilt_ang\tfiducial_yaw_angle\tfiducial_score"
    )
    for fold, rows in enumerate((["(25, 32)", "(27, 32)"], ["(0, 2)"], ["35"], ["None"], ["(60, 100)"])):
        lines = [heading]
        for i, age in enumerate(rows):
            lines.append(f"{fold}@N01\tx{i}.jpg\t{i}\t{age}\tf\t0\t0\t9\t9\t0\t0\t50")
            _touch(tmp_path, f"aligned/{fold}@N01/landmark_aligned_face.{i}.x{i}.jpg")
        (tmp_path / f"fold_{fold}_data.txt").write_text("\n".join(lines) + "\n")
    tested = _tested("adience", tmp_path)
    assert {fold: len(paths) for fold, paths in tested.items()} == {"fold 0": 2, "fold 1": 1, "fold 4": 1}
    assert tested["fold 1"] == ["aligned/1@N01/landmark_aligned_face.0.x0.jpg"]


def test_fgnet(tmp_path: Path) -> None:
    _touch(tmp_path, "images/001A02.JPG", "images/001A43a.JPG", "images/002A05.JPG", "images/readme.JPG")
    assert _tested("fgnet-lopo", tmp_path) == {
        "001": ["images/001A02.JPG", "images/001A43a.JPG"],
        "002": ["images/002A05.JPG"],
    }
    assert len(_tested("fgnet", tmp_path)["test"]) == 3


def test_morph2(tmp_path: Path) -> None:
    _touch(tmp_path, *(f"Album2/{person:06d}_{i}M3{i}.JPG" for person in range(1, 31) for i in range(4)))
    folds = _tested("morph2-subjects", tmp_path)
    people = [{path.split("/")[1].split("_")[0] for path in paths} for paths in folds.values()]
    assert sum(map(len, people)) == len(set.union(*people)) == 30
    assert 0 < len(_tested("morph2", tmp_path)["test"]) < 60


def test_megaage_asian(tmp_path: Path) -> None:
    _touch(tmp_path, "train/1.jpg", "test/1.jpg", "test/2.jpg")
    (tmp_path / "list").mkdir()
    for split, ages in (("train", "30"), ("test", "4\n70")):
        count = len(ages.split())
        (tmp_path / "list" / f"{split}_name.txt").write_text("".join(f"{i + 1}.jpg\n" for i in range(count)))
        (tmp_path / "list" / f"{split}_age.txt").write_text(ages + "\n")
    assert _tested("megaage-asian", tmp_path) == {"test": ["test/1.jpg", "test/2.jpg"]}


def test_agedb_and_afad(tmp_path: Path) -> None:
    _touch(tmp_path / "agedb", "0_MariaCallas_35_f.jpg", "1_MariaCallas_36_f.jpg", "2_MorganFreeman _73_m.jpg")
    assert len(_tested("agedb", tmp_path / "agedb")["test"]) == 3
    by_person = _tested("agedb", tmp_path / "agedb", "folds")
    assert sorted(map(len, by_person.values())) in ([1, 2], [3])
    _touch(tmp_path / "afad", *(f"{age}/111/{i}-0.jpg" for age in (15, 40) for i in range(30)))
    assert 0 < len(_tested("afad", tmp_path / "afad")["test"]) < 30

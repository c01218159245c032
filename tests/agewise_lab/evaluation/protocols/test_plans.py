"""Which faces each protocol tests on: counted by hand on small sets of records and on small trees."""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest

from agewise.types import Gender
from agewise_lab.datasets.record import Record
from agewise_lab.evaluation.protocols import PROTOCOLS, find_protocol, make_plan, read
from agewise_lab.evaluation.protocols.adience import class_of
from agewise_lab.evaluation.protocols.utkface import last_digit
from agewise_lab.store.crops import open_store
from agewise_lab.store.split import hash_split


def _utk(age: int, i: int, gender: int = 0) -> Record:
    return Record(f"{age}_{gender}_0_{20170100000000000 + i}.jpg.chip.jpg", float(age), Gender.MALE)


UTK = [_utk(10 + i % 60, i) for i in range(60)]


def test_unknown_names_are_met_with_the_nearest() -> None:
    with pytest.raises(ValueError, match="unknown protocol 'utkfase': did you mean 'utkface'"):
        find_protocol("utkfase")
    with pytest.raises(ValueError, match="unknown part of utkface 'validate': did you mean 'validation'"):
        make_plan(find_protocol("utkface"), UTK, "validate")


def test_every_protocol_has_what_the_issue_names() -> None:
    wanted = {"utkface", "utkface-folds", "utkface-21-60", "adience", "appa-real", "fgnet", "fgnet-lopo", "morph2"}
    wanted |= {"morph2-subjects", "megaage-asian", "imdb-wiki", "imdb-clean", "agedb", "cacd2000", "afad", "fairface"}
    assert set(PROTOCOLS) == wanted | {"lagenda", "own"}
    assert all(protocol.source and protocol.parts for protocol in PROTOCOLS.values())


def test_utkface_tests_on_the_names_that_hash_to_8_and_9() -> None:
    plan = make_plan(find_protocol("utkface"), UTK)
    expected = {r.path for r in UTK if int(hashlib.sha1(r.path.encode()).hexdigest(), 16) % 10 in (8, 9)}
    assert {record.path for record in plan.records} == expected
    assert 0 < len(expected) < 30
    (fold,) = plan.folds
    assert len(fold.test) + len(fold.train) == 60
    # A folder before the name changes nothing.
    assert last_digit("part1/" + UTK[0].path) == last_digit(UTK[0].path)


def test_utkface_without_its_test_part_says_what_to_do() -> None:
    without = [record for record in UTK if last_digit(record.path) < 8]
    with pytest.raises(ValueError, match=f"none of the {len(without)} here does: take `--part validation --store"):
        make_plan(find_protocol("utkface"), without)
    with pytest.raises(ValueError, match="name one with --store"):
        make_plan(find_protocol("utkface"), UTK, "validation")


def test_utkface_validation_is_the_stores_own(store_folder: Path, pictures: SimpleNamespace) -> None:
    records, dropped = read(find_protocol("utkface"), pictures.root)
    assert dropped == {}
    plan = make_plan(find_protocol("utkface"), records, "validation", store_folder)
    assert {record.path for record in plan.records} == set(pictures.validation)
    assert not {record.path for record in plan.records} & set(pictures.twins)
    assert hash_split(open_store(store_folder)).digest in plan.notes[0]
    assert {record.path for record in plan.folds[0].train} == set(pictures.train)
    with pytest.raises(ValueError, match="pictures of the store are not in the folder"):
        make_plan(find_protocol("utkface"), records[:5], "validation", store_folder)


def test_utkface_of_adults_only() -> None:
    plan = make_plan(find_protocol("utkface-21-60"), UTK)
    every = make_plan(find_protocol("utkface"), UTK)
    assert {r.path for r in plan.records} == {r.path for r in every.records if 21 <= (r.age_years or 0) <= 60}
    assert len(plan.records) < len(every.records)


def test_five_folds_of_utkface_test_each_face_once() -> None:
    plan = make_plan(find_protocol("utkface-folds"), UTK)
    assert [fold.name for fold in plan.folds] == [f"fold {k}" for k in range(5)]
    assert Counter(record.path for record in plan.records) == Counter(record.path for record in UTK)
    for k, fold in enumerate(plan.folds):
        assert fold.validation == plan.folds[(k + 1) % 5].test
        assert len(fold.test) + len(fold.validation) + len(fold.train) == 60


def test_a_digest_names_the_faces_and_not_their_order() -> None:
    plan = make_plan(find_protocol("utkface-folds"), UTK)
    assert make_plan(find_protocol("utkface-folds"), UTK[::-1]).digest == plan.digest
    assert make_plan(find_protocol("utkface-folds"), UTK[:-1]).digest != plan.digest


def _adience(path: str, ages: tuple[float, float] | None, split: str | None, gender: Gender | None = None) -> Record:
    return Record(path, None, gender, age_range_years=ages, split=split)


@pytest.mark.parametrize(
    ("label", "place"),
    [
        (_adience("a", (0, 2), None), 0),
        (_adience("a", (60, 100), None), 7),
        (_adience("a", (38, 42), None), 5),
        (_adience("a", (38, 48), None), 5),
        (_adience("a", (27, 32), None), 4),
        (_adience("a", (25, 23), None), 4),
        (_adience("a", (8, 23), None), -1),
        (Record("a", 35.0, None), -1),
        (Record("a", 29.0, None), 4),
        (Record("a", None, None), -1),
    ],
)
def test_adience_classes(label: Record, place: int) -> None:
    assert class_of(label) == place


def test_adience_folds() -> None:
    records = [_adience(f"{fold}/{i}", (4, 6), f"fold {fold}") for fold in range(5) for i in range(20)]
    records += [
        _adience("mapped", (27, 32), "fold 0"),
        _adience("dropped", (35, 35), "fold 1"),
        _adience("gender only", (35, 35), "fold 2", Gender.FEMALE),
        _adience("nowhere", (0, 2), None),
    ]
    plan = make_plan(find_protocol("adience"), records)
    assert [(fold.name, len(fold.test)) for fold in plan.folds] == [
        ("fold 0", 21),
        ("fold 1", 20),
        ("fold 2", 21),
        ("fold 3", 20),
        ("fold 4", 20),
    ]
    for fold in plan.folds:
        rest = len(fold.train) + len(fold.validation)
        assert rest == 102 - len(fold.test)
        assert 0 < len(fold.validation) < 20
    mapped = next(record for record in plan.records if record.path == "mapped")
    assert mapped.age_range_years == (25, 32)
    assert "by the reader, and 1 here); 2 have none" in plan.notes[0]
    assert "1 pictures are in no fold" in plan.notes[2]


def test_appa_real_has_two_official_parts() -> None:
    records = [
        Record("a", 3.0, None, apparent_age_years=4.0, apparent_std_years=1.0, split="train"),
        Record("b", 5.0, None, apparent_age_years=4.0, apparent_std_years=1.0, split="valid"),
        Record("c", 7.0, None, apparent_age_years=4.0, apparent_std_years=1.0, split="test"),
    ]
    protocol = find_protocol("appa-real")
    assert [record.path for record in make_plan(protocol, records).records] == ["b"]
    assert [record.path for record in make_plan(protocol, records, "test").records] == ["c"]
    with pytest.raises(ValueError, match="APPA-REAL test: none of the 1 faces is in it; their splits are train"):
        make_plan(protocol, records[:1], "test")


FGNET = [Record(f"00{p}A{a:02d}.JPG", float(a), None, subject=f"00{p}") for p in (1, 2, 3) for a in (2, 8)]


def test_fgnet_leaves_one_person_out() -> None:
    plan = make_plan(find_protocol("fgnet-lopo"), FGNET)
    assert [fold.name for fold in plan.folds] == ["001", "002", "003"]
    assert [record.path for record in plan.folds[1].test] == ["002A02.JPG", "002A08.JPG"]
    assert {record.subject for record in plan.folds[1].train} == {"001", "003"}
    assert len(make_plan(find_protocol("fgnet"), FGNET).records) == 6


MORPH = [Record(f"{p}_{i}", 30.0, None, subject=str(p)) for p in range(40) for i in range(5)]


def test_morph2_at_random_warns_that_people_cross() -> None:
    plan = make_plan(find_protocol("morph2"), MORPH)
    (fold,) = plan.folds
    assert 20 < len(fold.test) < 60
    tested = {record.subject for record in fold.test}
    shared = tested & {record.subject for record in fold.train}
    assert plan.notes[0].startswith(f"WARNING: people cross: {len(shared)} of the {len(tested)} people")
    assert shared


@pytest.mark.parametrize(("name", "part"), [("morph2-subjects", None), ("agedb", "folds")])
def test_folds_by_person_keep_people_apart(name: str, part: str | None) -> None:
    plan = make_plan(find_protocol(name), MORPH, part)
    assert len(plan.records) == 200
    for fold in plan.folds:
        parts = [{record.subject for record in records} for records in (fold.test, fold.validation, fold.train)]
        assert not parts[0] & parts[1]
        assert not (parts[0] | parts[1]) & parts[2]


@pytest.mark.parametrize(
    ("name", "split", "left"),
    [
        ("megaage-asian", "test", "train"),
        ("imdb-clean", "test", "valid"),
        ("fairface", "val", "train"),
        ("cacd2000", "test", "train"),
    ],
)
def test_official_parts(name: str, split: str, left: str) -> None:
    records = [
        Record("tested", 5.0, None, age_range_years=(3, 9), split=split),
        Record("left", 5.0, None, age_range_years=(3, 9), split=left),
    ]
    plan = make_plan(find_protocol(name), records)
    assert [record.path for record in plan.records] == ["tested"]


@pytest.mark.parametrize("name", ["imdb-wiki", "agedb", "lagenda"])
def test_all_pictures_that_have_an_age(name: str) -> None:
    plan = make_plan(find_protocol(name), [Record("a", 5.0, None), Record("b", None, None)])
    assert [record.path for record in plan.records] == ["a"]


def test_cacd2000_without_a_split_divides_people() -> None:
    records = [Record(f"{p}_{i}", 30.0, None, subject=f"p{p}") for p in range(300) for i in range(2)]
    (fold,) = make_plan(find_protocol("cacd2000"), records).folds
    parts = [{record.subject for record in part} for part in (fold.test, fold.validation, fold.train)]
    assert len(parts[0]) + len(parts[1]) + len(parts[2]) == 300
    # 6 % and 4 % of 300 by chance.
    assert 8 <= len(parts[0]) <= 30
    assert 4 <= len(parts[1]) <= 24


def test_afad_tests_a_fifth() -> None:
    plan = make_plan(find_protocol("afad"), MORPH)
    assert 20 < len(plan.records) < 60
    assert any("people cross" in note for note in plan.notes)


def test_a_data_set_without_a_reader_says_what_to_do(tmp_path: Path) -> None:

    protocol = dataclasses.replace(find_protocol("afad"), reader="not_there")
    with pytest.raises(ValueError, match="no reader of not_there in this version.*--protocol own"):
        read(protocol, tmp_path)

"""`agewise-lab data build`, `split`, `leaks`, `report`: from a folder to a database that was looked at."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from agewise_lab.cli.main import app, main
from agewise_lab.store.crops import open_store
from agewise_lab.store.manifest import read_manifest
from agewise_lab.store.split import hash_split


def _run(*words: object) -> Result:
    return CliRunner().invoke(
        app, [str(word) for word in words], env={"NO_COLOR": "1", "COLUMNS": "200", "TERM": "dumb"}
    )


def _main(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    """The exit status of the entry point itself."""
    monkeypatch.setattr(sys, "argv", ["agewise-lab", *map(str, words)])
    with pytest.raises(SystemExit) as done:
        main()
    assert isinstance(done.value.code, int)
    return done.value.code


@pytest.fixture
def root(tmp_path: Path, pictures: SimpleNamespace) -> Path:
    """Three pictures, one that cannot be read, and one whose name says nothing."""
    root = tmp_path / "UTKFace é"
    root.mkdir()
    for name in [pictures.face, *pictures.twins]:
        shutil.copy(pictures.root / name, root)
    (root / "9_0_0_20170000000000000.jpg.chip.jpg").write_bytes(b"\xff\xd8\xff cut")
    (root / "odd.jpg").touch()
    return root


@pytest.fixture
def database(tmp_path: Path, store_folder: Path) -> Path:
    """A copy of the store of pictures."""
    shutil.copytree(store_folder, tmp_path / "db", ignore=shutil.ignore_patterns("cache-*"))
    return tmp_path / "db"


# ---------------------------------------------------------------- build


def test_build(tmp_path: Path, root: Path) -> None:
    output = tmp_path / "my store"
    words = ("data", "build", "utkface", "--root", root, "--output", output, "--side", 24, "--processes", 1)
    result = _run(*words)
    assert result.exit_code == 0, result.output
    assert "4 records of use, 1 dropped by the reader" in result.stdout
    assert "3 faces in 1 shards" in result.stdout
    assert f"dropped: 2, each named in {output / 'drops.json'}" in result.stdout
    assert "  1  picture cannot be decoded" in result.stdout
    assert "4 of 4 records" in result.stderr
    assert open_store(output).whole.shape == (3, 24, 24, 3)
    assert {Path(row["path"]).name for row in json.loads((output / "drops.json").read_text())["rows"]} == {
        "odd.jpg",
        "9_0_0_20170000000000000.jpg.chip.jpg",
    }
    again = _run(*words)
    assert again.exit_code == 0
    assert "is finished already: nothing to do" in again.stdout
    assert "dropped: 2" in again.stdout


def test_build_of_crops_as_they_are(tmp_path: Path, root: Path) -> None:
    output = tmp_path / "db"
    result = _run(
        *("data", "build", "utkface", "--root", root, "--output", output, "--side", 16, "--processes", 1),
        *("--crops", "as-is", "--shard-rows", 2),
    )
    assert result.exit_code == 0, result.output
    assert "in 2 shards" in result.stdout
    assert read_manifest(output).settings.crops == "as-is"
    assert not open_store(output).found.any()


def test_build_from_a_table_of_ones_own(tmp_path: Path, root: Path, pictures: SimpleNamespace) -> None:
    table = tmp_path / "labels.csv"
    table.write_text(f"file,years,sex\n{pictures.face},41.5,f\n{pictures.twins[0]},7,\n")
    result = _run(
        *("data", "build", "own", "--root", root, "--output", tmp_path / "db", "--side", 16, "--processes", 1),
        *("--option", f"table={table}", "--columns", "path=file,age=years,gender=sex", "--min-score", 0.5),
    )
    assert result.exit_code == 0, result.output
    assert "  1  no face found" in result.stdout
    frame = pd.read_parquet(tmp_path / "db" / "faces.parquet")
    assert frame[["name", "dataset", "age_years", "gender"]].to_numpy().tolist() == [
        [pictures.face, "own", 41.5, "female"]
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("utkfase", "--root", "x", "--output", "y"), "unknown data set 'utkfase': did you mean 'utkface'?"),
        (("utkface", "--root", "x"), "Missing option '--output'"),
        (("utkface", "--root", "x", "--output", "y", "--crops", "all"), "'all' is not one of"),
        (("utkface", "--root", "x", "--output", "y", "--processes", "0"), "should be greater than or equal to 1"),
        (("imdb", "--root", "x", "--output", "y", "--option", "min_scor=1"), "did you mean 'min_score'?"),
        (("imdb", "--root", "x", "--output", "y", "--option", "min_score"), "KEY=VALUE"),
    ],
)
def test_build_what_is_typed_wrong(words: tuple[str, ...], message: str) -> None:
    result = _run("data", "build", *words)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.replace("│", " ").split())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--root", "none", "--output", "db"), "UTKFace"),
        (("--root", "ROOT", "--output", "db", "--side", "4"), "the crops' side must be 8 to 1024 pixels, got 4"),
        (("--root", "ROOT", "--output", "db", "--min-score", "7"), "the least detector score must be 0 to 1, got 7.0"),
        (("--root", "ROOT", "--output", "ROOT"), "exists and is no database: remove it, or name another folder"),
        (("--root", "ROOT", "--output", "DB"), "is a database of side 40, now 160: remove it"),
    ],
)
def test_build_what_cannot_be_done(
    words: tuple[str, ...],
    message: str,
    root: Path,
    database: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    places = {"ROOT": str(root), "DB": str(database)}
    assert _main(monkeypatch, "data", "build", "utkface", *(places.get(word, word) for word in words)) == 1
    error = capsys.readouterr().err
    assert error.startswith("agewise-lab: ")
    assert message in error
    assert not (tmp_path / "db" / "shards" / "part-00001.parquet").exists()


# ---------------------------------------------------------------- split, leaks, report


def test_split(database: Path) -> None:
    result = _run("data", "split", database)
    assert result.exit_code == 0, result.output
    name, digest, counts = result.stdout.strip().split("\t")
    assert (name, digest) == ("hash", hash_split(open_store(database)).digest)
    assert counts == "train 22, validation 25, holdout 5"
    folds = _run("data", "split", database, "--by", "stratified", "--folds", 5, "--name", "cv", "--seed", 3)
    assert [line.split("\t")[0] for line in folds.stdout.splitlines()] == [f"cv-{k}" for k in range(5)]
    assert sorted(path.name for path in (database / "splits").iterdir()) == [
        *(f"cv-{k}.parquet" for k in range(5)),
        "hash.parquet",
    ]


def test_leaks_tell_by_their_exit_status(database: Path, tmp_path: Path, pictures: SimpleNamespace) -> None:
    words = ("data", "split", database, "--by", "random", "--fractions", "0.5,0,0.5")
    seeds = range(1, 20)
    for seed in seeds:  # until the twins are apart
        assert _run(*words, "--name", "plain", "--ignore-duplicates", "--seed", seed).exit_code == 0
        result = _run("data", "leaks", database, "--split", "plain", "--pictures", tmp_path / "out")
        if result.exit_code:
            break
    assert result.exit_code == 1, "one of twenty random splits must part the twins"
    assert "near-duplicates: 1 of 26 holdout faces (3.8%) have one in train" in result.stdout
    assert "of these 1 (100%) with another age label, 1 with another gender" in result.stdout
    assert "something crosses" in result.stdout
    assert f"written: {tmp_path / 'out' / 'leaks.html'}" in result.stdout
    assert _run(*words, "--name", "kept", "--seed", seed).exit_code == 0
    clean = _run("data", "leaks", database, "--split", "kept")
    assert clean.exit_code == 0
    assert "nothing crosses" in clean.stdout
    assert "groups that disagree: 1 in age, 1 in gender" in clean.stdout
    assert all(name in clean.stdout for name in pictures.twins)
    assert "1 more (--most)" in _run("data", "leaks", database, "--most", 0).stdout


def test_leaks_between_two_databases(database: Path, tmp_path: Path, root: Path) -> None:
    other = tmp_path / "other"
    words = ("--side", 16, "--processes", 1, "--crops", "as-is")
    assert _run("data", "build", "utkface", "--root", root, "--output", other, *words).exit_code == 0
    result = _run("data", "leaks", database, other)
    assert result.exit_code == 1
    assert f"near-duplicates: 3 of 3 {other} faces (100.0%) have one in {database}" in result.stdout
    assert "of these 0 (0%) with another age label" in result.stdout


def test_report(database: Path, tmp_path: Path) -> None:
    result = _run("data", "report", database, "--output", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert result.stdout.strip() == f"written: {tmp_path / 'out' / 'report.html'}"
    assert (tmp_path / "out" / "ages.png").is_file()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("split", "none"), "none is no crop store: make one with"),
        (("split", "DB", "--fractions", "1,1,1"), "fractions are those of train, validation and holdout"),
        (("split", "DB", "--by", "subject"), "this data set names no subjects"),
        (("split", "DB", "--by", "official"), "this data set has no official split"),
        (("split", "DB", "--name", "a/b"), "a split's name is letters"),
        (("leaks", "DB", "--split", "x"), "has no splits: make one with `agewise-lab data split`"),
        (("leaks", "DB", "DB"), "named twice"),
        (("leaks", "none"), "none is no crop store"),
        (("report", "none", "--output", "out"), "none is no crop store"),
        (("report", "DB", "--output", "out", "--model", "agewise-z"), "unknown model 'agewise-z'"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    words: tuple[str, ...],
    message: str,
    database: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert _main(monkeypatch, "data", *(str(database) if word == "DB" else word for word in words)) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("agewise-lab: ")
    assert message in line
    assert [path.name for path in tmp_path.iterdir()] == ["db"]


def test_fractions_that_are_no_numbers_are_a_matter_of_usage(database: Path) -> None:
    result = _run("data", "split", database, "--fractions", "most,some,few")
    assert result.exit_code == 2
    assert "three numbers with commas between" in result.stderr

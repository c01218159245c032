"""The commands about data sets: what they list, fetch, count, take in and give out."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import http.server
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from agewise.types import UInt8Array
from agewise_lab.cli.main import app
from agewise_lab.datasets import fgnet
from agewise_lab.datasets.base import Download
from agewise_lab.datasets.registry import READERS
from agewise_lab.store.database import read_faces


def _run(*words: object) -> Result:
    return CliRunner().invoke(
        app, [str(word) for word in words], env={"NO_COLOR": "1", "COLUMNS": "200", "TERM": "dumb"}
    )


# ---------------------------------------------------------------- list


def test_all_sets_are_listed_a_line_each() -> None:
    result = _run("data", "list")
    assert result.exit_code == 0
    rows = {name: fields for name, *fields in (line.split("\t") for line in result.stdout.splitlines())}
    assert list(rows) == list(READERS)
    assert rows["imdb"][0] == "460,723"
    assert rows["adience"][3].startswith("form to sign https://")
    assert {len(fields) for fields in rows.values()} == {5}


def test_one_set_is_shown_whole() -> None:
    result = _run("data", "list", "appa-real")
    assert result.exit_code == 0
    for words in ("APPA-REAL (appa-real)", "Terms     research", "--option faces=True", "gt_avg_train.csv"):
        assert words in result.stdout


def test_an_unknown_set_is_a_matter_of_usage() -> None:
    for words in (("list", "adiance"), ("download", "adiance", "--output", "x"), ("check", "adiance", "--root", "x")):
        result = _run("data", *words)
        assert result.exit_code == 2
        assert "did you mean 'adience'?" in " ".join(result.stderr.split())


# ---------------------------------------------------------------- download


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("adience", ("a form must be signed: https://talhassner.github.io/", "gives the name and password")),
        ("utkface", ("there is no direct link to fetch it by: https://susanqq.github.io/UTKFace/", "non-commercial")),
        ("own", ("Your own: it is yours", "yours to know")),
    ],
)
def test_where_a_form_must_be_signed_it_says_so(tmp_path: Path, name: str, words: tuple[str, ...]) -> None:
    result = _run("data", "download", name, "--output", tmp_path / "x")
    assert result.exit_code == 1
    assert all(word in result.stderr for word in words)
    assert list(tmp_path.iterdir()) == []


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's name
        pass


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[bytes]:
    """What FG-NET's archive holds, on a server of our own."""
    data = b"PK" + bytes(3_000_000)
    (tmp_path / "server").mkdir()
    (tmp_path / "server/FGNET.zip").write_bytes(data)
    handler = functools.partial(_Quiet, directory=tmp_path / "server")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        file = Download(file="FGNET.zip", url=f"http://127.0.0.1:{server.server_address[1]}/FGNET.zip")
        monkeypatch.setattr(fgnet, "FACTS", dataclasses.replace(fgnet.FACTS, downloads=(file,)))
        yield data
        server.shutdown()
        thread.join()


def test_what_anyone_may_fetch_is_fetched(tmp_path: Path, archive: bytes) -> None:
    output = tmp_path / "new" / "folder"
    result = _run("data", "download", "fgnet", "--output", output)
    assert result.exit_code == 0, result.output
    assert (output / "FGNET.zip").read_bytes() == archive
    digest = hashlib.sha256(archive).hexdigest()
    assert f"FGNET.zip: fetched; sha256 {digest}, recorded; nobody states one to check against" in result.stdout
    assert "FGNET.zip: 3.0 of 3.0 MB (100%)" in result.stderr
    assert "FG-NET: research" in result.stderr, "the terms are said before"
    again = _run("data", "download", "fgnet", "--output", output)
    assert "FGNET.zip: was there; " in again.stdout


# ---------------------------------------------------------------- check


def test_a_folder_is_counted_by_split_gender_and_drop(tmp_path: Path) -> None:
    for name in ("1.jpg", "2.jpg", "3.jpg", "ü.jpg"):
        (tmp_path / name).touch()
    rows = ["1.jpg,30,f,train,A", "2.jpg,-5,m,train,A", "3.jpg,40,m,test,B", "ü.jpg,50,,test,", "gone.jpg,1,f,test,"]
    (tmp_path / "t.csv").write_text("\n".join(["file,years,sex,part,who", *rows]) + "\n", encoding="utf-8-sig")
    columns = "path=file,age=years,gender=sex,split=part,subject=who"
    result = _run("data", "check", "own", "--root", tmp_path, "--option", "table=t.csv", "--columns", columns)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        "5 records, 3 of use, 2 dropped",
        "split\trecords\tfemale\tmale\tunknown",
        "test\t2\t0\t1\t1",
        "train\t1\t1\t0\t0",
        "all\t3\t1\t1\t1",
        "ages: 30 to 50, median 40, 3 known",
        "subjects: 2",
        "dropped: 1  an age below 0 or above 120",
        "  '2.jpg'",
        "dropped: 1  no such picture",
        "  'gone.jpg'",
    ]


def test_classes_groups_and_notes_are_told(tmp_path: Path) -> None:
    (tmp_path / "val").mkdir()
    (tmp_path / "val/1.jpg").touch()
    (tmp_path / "fairface_label_val.csv").write_text("file,age,gender,race\nval/1.jpg,3-9,Male,Black\n")
    result = _run("data", "check", "fairface", "--root", tmp_path)
    assert result.exit_code == 0, result.output
    for line in ("classes of ages: 3-9 1", "groups: Black 1", "note: no table of the split train"):
        assert line in result.stdout.splitlines()


def test_wrong_options_and_wrong_folders(tmp_path: Path) -> None:
    result = _run("data", "check", "imdb", "--root", tmp_path, "--option", "min_scor=1")
    assert result.exit_code == 2
    assert "did you mean 'min_score'?" in result.stderr
    result = _run("data", "check", "imdb", "--root", tmp_path)
    assert "imdb.mat is missing" in str(result.exception)


# ---------------------------------------------------------------- import and export


@pytest.fixture
def ssrnet_file(tmp_path: Path, clouds: Callable[..., UInt8Array]) -> Path:
    """Four crops as SSR-Net keeps them, one of an impossible age."""
    bgr = np.stack([clouds(seed, 32) for seed in range(4)])[..., ::-1]
    path = tmp_path / "wiki.npz"
    np.savez(path, image=bgr, gender=np.array([1, 0, 1, 1]), age=np.array([5, 60, 30, 150]), img_size=32)
    return path


def test_import_then_export(tmp_path: Path, ssrnet_file: Path) -> None:
    database, out = tmp_path / "db", tmp_path / "out.npz"
    words = ("--format", "ssrnet-npz", "--output", database, "--gender-code", "male-is-1", "--dataset", "wiki")
    result = _run("data", "import", ssrnet_file, *words)
    assert result.exit_code == 0, result.output
    assert f"{database}: 3 of 4 crops of {ssrnet_file}, data set 'wiki'" in result.stdout
    assert "dropped: 1  an age below 0 or above 120" in result.stdout
    faces = read_faces(database).to_pydict()
    assert faces["gender"] == ["male", "female", "male"]
    assert faces["age_years"] == [5, 60, 30]
    assert faces["dataset"] == ["wiki"] * 3

    result = _run("data", "export", database, "--format", "ssrnet-npz", "--output", out, "--side", 32)
    assert result.exit_code == 0, result.output
    assert f"{out}: 3 of 3 faces, 32 pixels, male-is-1" in result.stdout
    with np.load(out) as back, np.load(ssrnet_file) as there:
        assert back["age"].tolist() == [5, 60, 30]
        assert back["gender"].tolist() == [1, 0, 1]
        # stored as JPEG: nearly the same, and blue is still first
        assert np.abs(back["image"].astype(int) - there["image"][:3].astype(int)).mean() < 2


def test_export_for_yu4u(tmp_path: Path, ssrnet_file: Path) -> None:
    from scipy.io import loadmat

    database, out = tmp_path / "db", tmp_path / "out.mat"
    _run("data", "import", ssrnet_file, "--format", "ssrnet-npz", "--output", database, "--gender-code", "male-is-1")
    words = ("--output", out, "--side", 16, "--crop", "aligned", "--gender-code", "female-is-1", "--db", "utk")
    result = _run("data", "export", database, "--format", "yu4u-mat", *words)
    assert result.exit_code == 0, result.output
    content = SimpleNamespace(**loadmat(out))
    assert content.image.shape == (3, 16, 16, 3)
    assert content.gender[0].tolist() == [0, 1, 0]
    assert content.db[0] == "utk"


def test_import_never_guesses_who_is_female(tmp_path: Path, ssrnet_file: Path) -> None:
    result = _run("data", "import", ssrnet_file, "--format", "ssrnet-npz", "--output", tmp_path / "db")
    assert "does not say whether 1 is male" in str(result.exception)
    assert not (tmp_path / "db").exists()

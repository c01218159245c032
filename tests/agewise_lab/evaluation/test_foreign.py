"""A foreign program is a tiny Python script here: it gets the pictures, and what it writes is joined by name."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from agewise_lab.datasets.record import Record
from agewise_lab.datasets.utkface import read_records
from agewise_lab.evaluation.foreign import ForeignProgram, ForeignProgramError, with_labels
from agewise_lab.evaluation.predictions import Predictions

PEER = """
import csv, os, sys
source, target = sys.argv[1:3]
if os.path.isdir(source):
    paths = sorted(os.listdir(source))
else:
    paths = [row["path"] for row in csv.DictReader(open(source))]
with open(target, "w") as file:
    file.write("path,predicted_age,predicted_gender\\n")
    for i, path in enumerate(paths):
        if i != 1:  # a face that it does not find
            file.write(f"{path},{20 + i}.5,female\\n")
"""


@pytest.fixture
def peer(tmp_path: Path) -> Path:
    script = tmp_path / "peer script.py"
    script.write_text(PEER)
    return script


@pytest.fixture
def records(pictures: SimpleNamespace) -> list[Record]:
    return list(read_records(pictures.root).records[:3])


def _program(script: Path, words: str) -> ForeignProgram:
    return ForeignProgram(f'peer={sys.executable} "{script}" {words}')


@pytest.mark.parametrize("words", ["{input} {output}", "{folder} {output}"])
def test_a_program_that_reads_a_list_or_a_folder(
    peer: Path, records: list[Record], pictures: SimpleNamespace, words: str
) -> None:
    program = _program(peer, words)
    assert program.name == "peer"
    table = program(records, pictures.root, ["a", "b", "a"])
    assert table.name.tolist() == [record.path for record in records]
    assert table.truth.tolist() == [record.age_years for record in records]
    np.testing.assert_array_equal(table.years, [20.5, np.nan, 22.5])
    np.testing.assert_array_equal(table.female_probability, [1, np.nan, 1])
    assert table.found.tolist() == table.answered.tolist() == [True, False, True]
    assert table.split.tolist() == ["a", "b", "a"]


def test_links_in_the_folder_lead_to_the_pictures(
    tmp_path: Path, records: list[Record], pictures: SimpleNamespace
) -> None:
    script = tmp_path / "sizes.py"
    script.write_text(
        "import os, sys\nnames = sorted(os.listdir(sys.argv[1]))\n"
        "with open(sys.argv[2], 'w') as file:\n    file.write('image,age_years\\n')\n"
        "    for name in names:\n"
        "        file.write(f'{name},{os.stat(os.path.join(sys.argv[1], name)).st_size / 1000}\\n')\n"
    )
    table = ForeignProgram(f"{sys.executable} {script} {{folder}} {{output}}")(records, pictures.root, [""] * 3)
    sizes = [(pictures.root / record.path).stat().st_size / 1000 for record in records]
    assert table.years.tolist() == sizes


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("import sys; sys.exit('out of luck')", "ended with status 1:\nout of luck"),
        ("pass", "wrote nothing to {output}"),
        ("import sys; open(sys.argv[2], 'w').write('path,note\\na,b\\n')", "no column holds the predicted age"),
        ("import sys; open(sys.argv[2], 'w').write('path,age_years\\nx.jpg,3\\n')", "names 1 pictures that it was not"),
        (
            "import sys; open(sys.argv[2], 'w').write('path,age_years\\n0000000.jpg,3\\n' "
            "+ open(sys.argv[1]).readlines()[1].strip() + ',4\\n')",
            "names a picture twice",
        ),
    ],
)
def test_programs_that_fail(
    tmp_path: Path, records: list[Record], pictures: SimpleNamespace, script: str, message: str
) -> None:
    path = tmp_path / "bad.py"
    path.write_text(script)
    with pytest.raises(ForeignProgramError) as caught:
        _program(path, "{input} {output}")(records, pictures.root, [""] * 3)
    assert message in str(caught.value)


def test_a_program_cannot_know_which_face_of_a_picture_is_meant(
    peer: Path, records: list[Record], pictures: SimpleNamespace
) -> None:
    with pytest.raises(ForeignProgramError, match="1 labelled faces share a picture with another"):
        _program(peer, "{input} {output}")([records[0], records[0]], pictures.root, ["", ""])


def test_a_program_that_is_not_there(records: list[Record], pictures: SimpleNamespace) -> None:
    with pytest.raises(ForeignProgramError, match="cannot start /none/peer: No such file"):
        ForeignProgram("/none/peer {input} {output}")(records, pictures.root, [""] * 3)


@pytest.mark.parametrize("template", ["peer {input}", "peer {output}", "peer"])
def test_templates_need_both_ends(template: str) -> None:
    with pytest.raises(ValueError, match=r"a command needs {output}, and {input} or {folder}"):
        ForeignProgram(template)


def test_names_of_programs() -> None:
    assert ForeignProgram("/usr/bin/peer --x=1 {input} {output}").name == "peer"
    assert ForeignProgram("MiVOLO=python -m peer {input} {output}").name == "MiVOLO"


def test_somebodys_table_is_joined_by_name() -> None:
    table = Predictions.of(
        {"name": ["c", "a", "x"], "years": [3.0, 1.0, 9.0], "class_id": [2, 0, 5]},
        quality={"detector_score": [3, 1, 9]},
    )
    records = [Record("a", 10.0, None), Record("b", 20.0, None), Record("c", None, None)]
    joined = with_labels(table, records, ["f", "f", "g"])
    assert joined.name.tolist() == ["a", "b", "c"]
    np.testing.assert_array_equal(joined.truth, [10, 20, np.nan])
    np.testing.assert_array_equal(joined.years, [1, np.nan, 3])
    assert joined.class_id.tolist() == [0, -1, 2]
    assert joined.found.tolist() == [True, False, True]
    np.testing.assert_array_equal(joined.quality["detector_score"], [1, np.nan, 3])
    assert joined.split.tolist() == ["f", "f", "g"]
    with pytest.raises(ValueError, match="they are named like c, the data set's like z"):
        with_labels(table, [Record("z", 1.0, None)], [""])

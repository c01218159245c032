"""The furniture: no research images, documents that agree with each other and with the files."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

# AGE_GENDER_RACE_TIME.jpg.chip.jpg, and names that lack the race.
UTKFACE_NAME = re.compile(r"(^|/)\d{1,3}_[01]_(\d_)?\d{8,}[^/]*\.(jpe?g|png|webp)$", re.IGNORECASE)
READMES = ("README.md", "README.zh-CN.md")
DOCUMENTS = (*READMES, "CHANGELOG.md", "CONTRIBUTING.md", "WEIGHTS.md", "docs/design.md")
COMMAND = re.compile(r"<!-- command: (\w+) -->\n```bash\n(.+?)\n```", re.DOTALL)
LINK = re.compile(r"\]\((?!https?://|#)([^)#\s]+)")


def test_no_research_image_belongs_to_the_project(tracked_files: list[str]) -> None:
    assert len(tracked_files) > 50
    assert [name for name in tracked_files if UTKFACE_NAME.search(name)] == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("data/26_1_2_20170116184024662.jpg.chip.jpg", True),
        ("61_1_20170109150557335.jpg.chip.jpg", True),
        ("26_0_0_20170116184024662.JPG", True),
        ("docs/images/astronaut.jpg", False),
        ("tests/2026_01_plot.png", False),
    ],
)
def test_research_names_are_recognised(name: str, expected: bool) -> None:
    assert bool(UTKFACE_NAME.search(name)) is expected


@pytest.fixture(scope="module")
def project(repository: Path) -> dict[str, Any]:
    table: dict[str, Any] = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return table


@pytest.mark.parametrize("readme", READMES)
def test_readme_shows_both_commands(repository: Path, readme: str) -> None:
    commands = dict(COMMAND.findall((repository / readme).read_text(encoding="utf-8")))
    assert set(commands) == {"run", "test"}
    assert all(len(command.splitlines()) == 1 for command in commands.values()), "each is one line to type"
    english = dict(COMMAND.findall((repository / "README.md").read_text(encoding="utf-8")))
    assert commands == english


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(repository: Path, document: str) -> None:
    path = repository / document
    targets = LINK.findall(path.read_text(encoding="utf-8"))
    assert [target for target in targets if not (path.parent / target).exists()] == []


def test_constraints_pin_every_direct_dependency(repository: Path, project: dict[str, Any]) -> None:
    def plain(requirement: str) -> str:
        found = re.match(r"[A-Za-z0-9._-]+", requirement)
        assert found, requirement
        return re.sub(r"[-_.]+", "-", found.group()).lower()

    wanted = {plain(line) for lines in project["optional-dependencies"].values() for line in lines}
    wanted |= {plain(line) for line in project["dependencies"]}
    lines = (repository / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][0-9A-Za-z.]*", pin) for pin in pins), "exact, public versions only"
    assert wanted - {plain(pin) for pin in pins} == {"agewise"}


def test_extras_named_in_messages_exist(project: dict[str, Any], source_files: list[Path]) -> None:
    raised = re.compile(r"MissingExtraError\([^)]*?,\s*\"(\w+)\"\)")
    named = {extra for file in source_files for extra in raised.findall(file.read_text(encoding="utf-8"))}
    assert named, "the pattern finds nothing"
    assert named <= set(project["optional-dependencies"])

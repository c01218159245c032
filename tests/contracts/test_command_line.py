"""The command line is a golden list: commands, arguments and options, not their help texts.

Adding or removing one is a decision. To take it, write the list anew, and say so in CHANGELOG.md:

    python scripts/command_line.py agewise.cli.main > tests/contracts/command_line.txt
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

GOLDEN = Path(__file__).with_name("command_line.txt")


def test_the_command_line_is_the_golden_one(repository: Path) -> None:
    script = repository / "scripts" / "command_line.py"
    done = subprocess.run(
        [sys.executable, str(script), "agewise.cli.main"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == GOLDEN.read_text(encoding="utf-8").splitlines(), __doc__


def test_the_list_holds_what_the_readme_shows() -> None:
    lines = GOLDEN.read_text(encoding="utf-8").splitlines()
    promised = (
        "--json",
        "--output",
        "--draw",
        "--model",
        "--detector",
        "--min-face",
        "--max-faces",
        "--threads",
        "--batch",
    )
    for option in promised:
        assert any(line.startswith(f"agewise predict {option}") for line in lines), option
    assert {"agewise --version", "agewise models", "agewise detectors"} <= set(lines)

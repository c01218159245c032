"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

Store: TypeAlias = Annotated[Path, typer.Option(help="A crop store, made by `agewise-lab data build`.")]
Root: TypeAlias = Annotated[Path, typer.Option(help="The folder of the data set's pictures.")]

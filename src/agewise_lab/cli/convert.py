"""`agewise-lab convert`: published Keras weights → an .onnx file with its card."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from agewise._files import atomic_write


def convert(
    file: Annotated[Path, typer.Argument(help="Weights as Keras saved them, .h5 or .hdf5.")],
    name: Annotated[str, typer.Option("--as", help="Which published network it is; a wrong name lists all.")],
    output: Annotated[Path | None, typer.Option(help="The file to write; NAME.onnx by default.")] = None,
    gender: Annotated[Path | None, typer.Option(help="An SSR-Net gender file, into the same model.")] = None,
    gender_data: Annotated[
        str | None, typer.Option(help="imdb, wiki or morph2; the published gender files are known.")
    ] = None,
    int8: Annotated[bool, typer.Option("--int8", help="Store large weights as int8: about a quarter of it.")] = False,
) -> None:
    """Convert published weights; no TensorFlow is needed, and nothing in the file is run."""
    from agewise_lab.convert.published import convert as run_conversion

    data = run_conversion(file, name, gender=gender, gender_from=gender_data, int8=int8)
    path = output or Path(f"{name}.onnx")
    with atomic_write(path) as stream:
        stream.write(data)
    typer.echo(f"{path}: {len(data) / 1e6:.2f} MB")

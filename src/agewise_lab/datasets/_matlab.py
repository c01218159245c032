"""Reading what MATLAB wrote, with one kind of error for all that can be wrong with such a file."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np

from agewise._files import shown


def load_struct(path: Path, variable: str) -> Any:
    """The one struct of that name: its fields by name, each as MATLAB has it (1×n numbers, or cells).

    Raises:
        ValueError: no MATLAB file (before version 7.3), or no such struct in it.
        OSError: the file cannot be opened.
    """
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    with open(path, "rb"):  # so that below an OSError speaks of what is in the file
        pass
    wrong = (KeyError, IndexError, TypeError, ValueError, AttributeError, NotImplementedError, OverflowError)
    try:
        struct = loadmat(str(path), variable_names=[variable])[variable][0, 0]
        if struct.dtype.names is None:
            raise ValueError(f"{variable} is no struct")
    except (*wrong, MatReadError, zlib.error, EOFError, OSError) as error:
        raise ValueError(f"{shown(path)}: expected a MATLAB file with one struct {variable!r}: {error}") from error
    return struct


def texts(cells: Any) -> list[str]:
    """The text of each cell; "" for an empty one."""
    return [str(cell.item()) if cell.size else "" for cell in np.asarray(cells).ravel()]

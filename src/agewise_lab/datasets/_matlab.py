"""Reading what MATLAB wrote, with one kind of error for all that can be wrong with such a file."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np

from agewise._files import shown


def load_mat(path: Path, *variables: str) -> dict[str, Any]:
    """The variables of a MATLAB file before version 7.3: those named, or all.

    Raises:
        ValueError: no such file.
        OSError: the file cannot be opened.
    """
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    with open(path, "rb"):  # so that below an OSError speaks of what is in the file
        pass
    # What scipy raises for damaged files is as varied as the damage.
    wrong = (LookupError, TypeError, ValueError, AttributeError, NotImplementedError, OverflowError, EOFError, OSError)
    try:
        content: dict[str, Any] = loadmat(str(path), variable_names=list(variables) or None)
    except (*wrong, MatReadError, zlib.error) as error:
        raise ValueError(f"{shown(path)}: expected a MATLAB file: {error}") from error
    return content


def load_struct(path: Path, variable: str) -> Any:
    """The one struct of that name: its fields by name, each as MATLAB has it (1×n numbers, or cells).

    Raises:
        ValueError: no MATLAB file (before version 7.3), or no such struct in it.
        OSError: the file cannot be opened.
    """
    array = load_mat(path, variable).get(variable)
    if not isinstance(array, np.ndarray) or array.dtype.names is None or array.size != 1:
        raise ValueError(f"{shown(path)}: expected a MATLAB file with one struct {variable!r}")
    return array.ravel()[0]


def texts(cells: Any) -> list[str]:
    """The text of each cell; "" for an empty one."""
    return [str(np.ravel(cell)[0]) if np.size(cell) else "" for cell in np.asarray(cells).ravel()]

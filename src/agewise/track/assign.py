"""Which detection belongs to which track: an exact assignment of least cost, in plain Python."""

from __future__ import annotations

import math

import numpy as np

from agewise.types import FloatArray


def overlaps(first_n4: FloatArray, second_m4: FloatArray) -> FloatArray:
    """Intersection over union of each pair of boxes (x0, y0, x1, y1): float64 (n, m).

    >>> overlaps(np.array([[0.0, 0, 2, 2]]), np.array([[1.0, 0, 3, 2], [5.0, 5, 6, 6]])).round(3).tolist()
    [[0.333, 0.0]]
    """
    first, second = first_n4[:, None], second_m4[None]
    sides = np.minimum(first[..., 2:], second[..., 2:]) - np.maximum(first[..., :2], second[..., :2])
    common = np.clip(sides, 0, None).prod(axis=-1)
    areas = [(boxes[..., 2:] - boxes[..., :2]).prod(axis=-1) for boxes in (first, second)]
    result: FloatArray = common / np.maximum(areas[0] + areas[1] - common, 1e-12)
    return result


def assign(costs: FloatArray, most: float) -> list[tuple[int, int]]:
    """Pairs (row, column), each row and column at most once, of the least total cost.

    A pair that costs more than `most` is never made; each row or column left over counts as half of it, so that a
    cheap pair is made even where it leaves another row without one.

    Args:
        costs: (rows, columns), 0 or more.
        most: the dearest pair.

    Source: the shortest augmenting path method for the assignment problem (Jonker, Volgenant, Computing 38, 1987).

    >>> assign(np.array([[0.1, 0.2], [0.1, 0.9]]), 1.0)
    [(0, 1), (1, 0)]
    """
    rows, columns = costs.shape
    # A dummy column for each row: to stay alone costs `most`.
    square = np.full((rows, columns + rows), most)
    square[:, :columns] = np.where(costs <= most, costs, 1e6)
    pairs = _shortest_paths(square.tolist(), columns + rows)
    return [(row, column) for row, column in pairs if column < columns]


def _shortest_paths(costs: list[list[float]], columns: int) -> list[tuple[int, int]]:
    """A column for each row, where there are at least as many columns as rows. Index 0 of each list is a sentinel."""
    row_price, column_price = [0.0] * (len(costs) + 1), [0.0] * (columns + 1)
    row_of, before = [0] * (columns + 1), [0] * (columns + 1)
    for row in range(1, len(costs) + 1):
        row_of[0], at = row, 0
        least, done = [math.inf] * (columns + 1), [False] * (columns + 1)
        while row_of[at]:
            done[at] = True
            here, step, following = row_of[at], math.inf, 0
            for column in range(1, columns + 1):
                if done[column]:
                    continue
                reduced = costs[here - 1][column - 1] - row_price[here] - column_price[column]
                if reduced < least[column]:
                    least[column], before[column] = reduced, at
                if least[column] < step:
                    step, following = least[column], column
            for column in range(columns + 1):
                if done[column]:
                    row_price[row_of[column]] += step
                    column_price[column] -= step
                else:
                    least[column] -= step
            at = following
        while at:
            row_of[at] = row_of[before[at]]
            at = before[at]
    return sorted((row_of[column] - 1, column - 1) for column in range(1, columns + 1) if row_of[column])

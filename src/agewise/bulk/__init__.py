"""Very many photos: processes, resumable parts, one result.

>>> from agewise.bulk import annotate                                             # doctest: +SKIP
>>> annotate(["photos"], "faces", recursive=True)                                 # doctest: +SKIP

Worker processes are spawned: a script that calls `annotate` does so below `if __name__ == "__main__":`.
"""

from __future__ import annotations

from agewise.bulk.job import Job
from agewise.bulk.run import EngineName, Summary, Watcher, annotate

__all__ = ["EngineName", "Job", "Summary", "Watcher", "annotate"]

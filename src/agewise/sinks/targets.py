"""Where records go, by what the target looks like: a file's suffix, a database's URL, an object store's URL."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from agewise._files import shown
from agewise.errors import OutputError
from agewise.sinks.record import Record
from agewise.sinks.record_files import CsvRecords, JsonLinesRecords, ParquetRecords

DATABASES = ("sqlite", "postgresql", "postgres")
OBJECT_STORES = ("s3", "gs", "az", "file")
_FILES: dict[str, type[JsonLinesRecords] | type[CsvRecords] | type[ParquetRecords]] = {
    ".jsonl": JsonLinesRecords,
    ".csv": CsvRecords,
    ".parquet": ParquetRecords,
}
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


class RecordSink(Protocol):
    """What takes records, in batches; each batch is kept for good once `write` returned."""

    def write(self, records: Sequence[Record]) -> None:
        """Keep these records; some of them may be there already.

        Raises:
            OutputError: they could not be kept, or only some of them; giving them again does no harm.
        """
        ...

    def close(self) -> None:
        """Let connections and files go; nothing may be written after it."""
        ...


def open_record_sink(
    target: str, *, table: str = "agewise_records", endpoint: str | None = None, timeout_seconds: float = 10.0
) -> RecordSink:
    """The sink of a target. Nothing is written or connected to before the first batch.

    Args:
        target: a `.jsonl`, `.csv` or `.parquet` file; `sqlite:///file.db`, `postgresql://user@host/database`;
            `s3://bucket/folder`, `gs://…`, `az://…`, `file:///folder`. Credentials come from each one's own
            standard means (environment, its configuration files, the machine's role), for PostgreSQL in the URL
            too, where they are never printed.
        table: of a database; made where it is missing.
        endpoint: address of an object store other than its maker's; for S3 `AWS_ENDPOINT_URL` does the same.
        timeout_seconds: for connecting to a database or an object store.

    Raises:
        OutputError: a target of no known kind.
        MissingExtraError: its kind needs a package that is not installed.
    """
    scheme = _SCHEME.match(target)
    kind = "" if scheme is None else scheme[1].lower()
    if kind.partition("+")[0] in DATABASES:
        from agewise.sinks.database import DatabaseRecords

        return DatabaseRecords(target, table=table, timeout_seconds=timeout_seconds)
    if kind in OBJECT_STORES:
        from agewise.sinks.object_store import ObjectStoreRecords

        return ObjectStoreRecords(target, endpoint=endpoint, timeout_seconds=timeout_seconds)
    suffix = Path(target).suffix.lower()
    if kind or suffix not in _FILES:
        urls = ", ".join(f"{known}://" for known in (*DATABASES[:2], *OBJECT_STORES))
        raise OutputError(
            f"cannot send records to {shown(masked(target))}: name a file that ends in {', '.join(_FILES)}, "
            f"or an address with {urls}"
        )
    return _FILES[suffix](target)


def masked(target: str) -> str:
    """A target as it may be printed: without the password of its address, nor those in its query.

    >>> masked("postgresql://ann:se@cret@db.example/faces?sslmode=require&password=x")
    'postgresql://ann:***@db.example/faces?sslmode=require&password=***'
    """
    if _SCHEME.match(target) is None:
        return target
    target = re.sub(r"(?<=://)([^:@/]*):.*@", r"\1:***@", target)
    return re.sub(r"(?i)([?&][^=&]*(?:password|secret|token|passwd|key)[^=&]*=)[^&]*", r"\1***", target)


def without_secrets(text: str, target: str) -> str:
    """A text, of somebody else's error, without the target and the password in it."""
    text = text.replace(target, masked(target))
    password = re.search(r"://[^:@/]*:(.*)@", target)
    if password is not None and password[1]:
        from urllib.parse import unquote

        for secret in {password[1], unquote(password[1])}:
            text = text.replace(secret, "***")
    return text

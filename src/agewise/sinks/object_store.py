"""Records in an object store, through fsspec: each batch is one object of JSON Lines.

An object's name is made of the time and the keys of its records, so that a batch that is sent again takes the
place of itself. Objects are private by default: no access list is ever set, what the bucket says holds.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
from collections.abc import Sequence
from typing import Any

from agewise._files import atomic_write, shown
from agewise.errors import MissingExtraError, OutputError
from agewise.sinks.record import Record, to_line

_PACKAGES = {"s3": "s3fs", "gs": "gcsfs", "az": "adlfs"}


class ObjectStoreRecords:
    """Puts each batch of records as one object under a prefix, `…/YYYY-MM-DD/HHMMSS-<hash of the keys>.jsonl`.

    Args:
        target: `s3://bucket/folder`, `gs://…`, `az://…` or `file:///folder`, without credentials: these come from
            the store's standard means only.
        endpoint: address of a store other than its maker's.
        timeout_seconds: for connecting, where the store lets that be set.

    Raises:
        MissingExtraError: fsspec or s3fs is not installed.
        OutputError: the package for another store is not installed, or a target with credentials or no bucket.
    """

    def __init__(self, target: str, *, endpoint: str | None = None, timeout_seconds: float = 10.0) -> None:
        scheme, _, path = target.partition("://")
        self._scheme = scheme.lower()
        if self._scheme != "file" and "@" in path.partition("/")[0]:
            raise OutputError(
                f"an address of {self._scheme}:// takes no credentials; set them in the environment or in the "
                "store's own configuration file, and leave them out of the address"
            )
        if not path.strip("/"):
            raise OutputError(f"cannot send records to {shown(target)}: name a bucket or folder after ://")
        _check_packages(self._scheme)
        self._prefix = path.rstrip("/")
        self._shown = shown(f"{self._scheme}://{self._prefix}")
        self._options = _options(self._scheme, endpoint, timeout_seconds)
        self._store: Any = None

    def write(self, records: Sequence[Record]) -> None:
        """Put the records as one object. Raises `OutputError`."""
        if not records:
            return
        name = f"{self._prefix}/{object_name(records)}"
        data = b"".join(map(to_line, records))
        try:
            store = self._connect()
            if self._scheme == "file":
                self._put_file(store, name, data)
            else:
                store.pipe_file(name, data)
        except OutputError:
            raise
        except Exception as error:  # the libraries of the stores raise what they like
            self._store = None
            reason = " ".join(str(error).split()) or type(error).__name__
            raise OutputError(f"cannot write to {self._shown}: {reason}") from error

    def close(self) -> None:
        """Let the connection go."""
        self._store = None

    def _connect(self) -> Any:
        if self._store is None:
            import fsspec

            self._store = fsspec.filesystem(self._scheme, skip_instance_cache=True, **self._options)
        return self._store

    def _put_file(self, store: Any, name: str, data: bytes) -> None:
        """A local object, whole or not at all, and forced to the disk."""
        path = store._strip_protocol(f"file://{name}")
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot write to {self._shown}: {error.strerror or error}") from error
        with atomic_write(path) as file:
            file.write(data)


def object_name(records: Sequence[Record]) -> str:
    """The name of the object of a batch, below its prefix: the same for the same records.

    Args:
        records: at least one.
    """
    first = min(record.time for record in records)
    keys = hashlib.sha256("\n".join(record.key for record in records).encode()).hexdigest()
    return f"{first:%Y-%m-%d}/{first:%H%M%S}-{keys[:24]}.jsonl"


def _check_packages(scheme: str) -> None:
    if importlib.util.find_spec("fsspec") is None:
        raise MissingExtraError("sending records to an object store", "s3")
    package = _PACKAGES.get(scheme)
    if package is None or importlib.util.find_spec(package) is not None:
        return
    if scheme == "s3":
        raise MissingExtraError("sending records to s3://", "s3")
    raise OutputError(f"sending records to {scheme}:// needs the package {package}: pip install {package}")


def _options(scheme: str, endpoint: str | None, timeout_seconds: float) -> dict[str, Any]:
    if endpoint is not None and not re.match(r"https?://", endpoint):
        raise OutputError(f"the endpoint of an object store starts with http:// or https://, got {endpoint!r}")
    if scheme == "s3":
        # No region here: with one, a bucket elsewhere than in that region is refused.
        times = {
            "connect_timeout": timeout_seconds,
            "read_timeout": 3 * timeout_seconds,
            "retries": {"max_attempts": 1},
        }
        client = {} if endpoint is None else {"endpoint_url": endpoint}
        return {"config_kwargs": times | {"retries": {"max_attempts": 1}}, "client_kwargs": client}
    if endpoint is None or scheme == "file":
        return {}
    return {"endpoint_url": endpoint} if scheme == "gs" else {"account_host": endpoint.partition("://")[2]}

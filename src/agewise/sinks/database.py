"""Records in a database, SQLite or PostgreSQL, through SQLAlchemy: one table, its primary key the record's key."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Sequence
from typing import Any

from agewise.errors import MissingExtraError, OutputError
from agewise.sinks.record import RECORD_COLUMNS, Record, to_row
from agewise.sinks.targets import masked, without_secrets


class DatabaseRecords:
    """Inserts records into a table, which is made where it is missing; a key that is there already is let be.

    A batch is one transaction. The connection is made with the first batch, and made again after a failure.

    Args:
        url: `sqlite:///file.db` or `postgresql://…` (the driver is psycopg); its password is never printed.
        table: its name.
        timeout_seconds: for connecting, and for waiting on a locked SQLite file.

    Raises:
        MissingExtraError: SQLAlchemy or psycopg is not installed.
        OutputError: an address that SQLAlchemy does not understand, or another kind of database.
    """

    def __init__(self, url: str, *, table: str = "agewise_records", timeout_seconds: float = 10.0) -> None:
        if importlib.util.find_spec("sqlalchemy") is None:
            raise MissingExtraError("sending records to a database", "db")
        import sqlalchemy

        self._target = url
        self._table = _table(table)
        self._has_table = False
        url = re.sub(r"^postgres(?:ql)?(?:\+psycopg)?://", "postgresql+psycopg://", url, flags=re.IGNORECASE)
        try:
            address = sqlalchemy.make_url(url)
        except (sqlalchemy.exc.ArgumentError, ValueError) as error:
            raise OutputError(
                f"cannot send records to {masked(self._target)}: not an address of a database; "
                "write sqlite:///file.db or postgresql://user@host/database"
            ) from error
        if address.drivername not in ("sqlite", "postgresql+psycopg"):
            raise OutputError(
                f"cannot send records to {masked(self._target)}: {address.drivername} is not supported; "
                "use sqlite:// or postgresql://"
            )
        if address.database in (None, "", ":memory:"):
            raise OutputError(f"cannot send records to {masked(self._target)}: it names no database that lasts")
        if address.drivername == "sqlite":
            options: dict[str, Any] = {"timeout": timeout_seconds}
        else:
            if importlib.util.find_spec("psycopg") is None:
                raise MissingExtraError("sending records to PostgreSQL", "postgres")
            options = {"connect_timeout": max(2, round(timeout_seconds)), "application_name": "agewise"}
            options = {name: value for name, value in options.items() if name not in address.query}
        self._engine = sqlalchemy.create_engine(
            address, connect_args=options, hide_parameters=True, pool_pre_ping=True, pool_size=1, max_overflow=0
        )

    def write(self, records: Sequence[Record]) -> None:
        """Insert the records in one transaction. Raises `OutputError`."""
        import sqlalchemy

        if not records:
            return
        rows = [{**to_row(record), "time": record.time} for record in records]
        try:
            with self._engine.begin() as connection:
                if not self._has_table:
                    self._table.create(connection, checkfirst=True)
                connection.execute(_insert(connection.dialect.name, self._table), rows)
            self._has_table = True
        except (sqlalchemy.exc.SQLAlchemyError, OSError) as error:
            self._has_table = False
            reason = " ".join(str(getattr(error, "orig", None) or error).split())
            raise OutputError(
                f"cannot write to {masked(self._target)}: {without_secrets(reason, self._target)}"
            ) from None  # the error's own text may hold the address

    def close(self) -> None:
        """Let the connection go."""
        self._engine.dispose()


def _table(name: str) -> Any:
    import sqlalchemy

    kinds: dict[str, Any] = {
        "text": sqlalchemy.Text(),
        "whole": sqlalchemy.BigInteger(),
        "number": sqlalchemy.Double(),
        "flag": sqlalchemy.Boolean(),
        "time": sqlalchemy.DateTime(timezone=True),
    }
    return sqlalchemy.Table(
        name,
        sqlalchemy.MetaData(),
        *(
            sqlalchemy.Column(column, kinds[column if column == "time" else kind], primary_key=column == "key")
            for column, kind in RECORD_COLUMNS.items()
        ),
    )


def _insert(dialect: str, table: Any) -> Any:
    """An insert that lets rows be whose key is there already."""
    from sqlalchemy.dialects import postgresql, sqlite

    insert = (postgresql if dialect == "postgresql" else sqlite).insert(table)
    return insert.on_conflict_do_nothing(index_elements=["key"])

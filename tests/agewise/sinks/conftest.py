"""Records to send, and servers to send them to: PostgreSQL from Debian's packages, S3 by moto."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agewise.errors import OutputError
from agewise.sinks import Record, make_record
from agewise.types import Detection, Gender, Prediction

MODEL_SHA256 = "ab" * 32
ANSWERED = Prediction(31.48291, 6.5, (24.25, 39.75), 0.9, Gender.FEMALE, 0.9712345678, gender_sure=False)
DECLINED = Prediction(
    50.0, 0.0, None, None, None, None, answered=False, reasons=("blurred; 0.05 < 0.10", "turned away (yaw 61° > 45°)")
)

MakeRecord = Callable[..., Record]


def record_of(frame: int, *, source: str = '合影, "two"\n.mp4', **changes: object) -> Record:
    """Record of a frame: every other one is declined and holds only what must be there."""
    fields: dict[str, object] = {
        "source": source,
        "frame": frame,
        "seconds": frame / 25,
        "track_id": 1 + frame % 3,
        "detection": Detection((0.125, -3.0, 20.5, 31.123456), 0.99),
        "prediction": DECLINED if frame % 2 else ANSWERED,
        "model": "agewise-s",
        "model_sha256": MODEL_SHA256,
    }
    return make_record(**(fields | changes))  # type: ignore[arg-type]


@pytest.fixture
def make() -> MakeRecord:
    """`make(frame, **changes)`: a record."""
    return record_of


class PlannedSink:
    """A sink in memory that can be told to refuse, as a server does that is down."""

    def __init__(self) -> None:
        self.batches: list[list[Record]] = []
        self.refuses = False
        self.tries: list[list[str]] = []
        self.closed = False

    def write(self, records: Sequence[Record]) -> None:
        self.tries.append([record.key for record in records])
        if self.refuses:
            raise OutputError("cannot write to the planned sink: refused")
        self.batches.append(list(records))

    def close(self) -> None:
        self.closed = True

    @property
    def records(self) -> list[Record]:
        return [record for batch in self.batches for record in batch]


@pytest.fixture
def planned() -> PlannedSink:
    return PlannedSink()


def wait_until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait for a thread or a process; fail where it takes too long."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


@pytest.fixture
def until() -> Callable[..., None]:
    return wait_until


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# ---------------------------------------------------------------- PostgreSQL


class PostgresServer:
    """A cluster of its own, which can be stopped and started."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self.folder, self.programs, self.port = folder, programs, free_port()
        self._run("initdb", "-D", str(folder / "data"), "-U", "agewise", "--auth=scram-sha-256",
                  "--no-sync", f"--pwfile={folder / 'password'}")  # fmt: skip

    @property
    def url(self) -> str:
        return f"postgresql://agewise:pa%40ss-w0rd@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        options = f"-c listen_addresses=127.0.0.1 -p {self.port} -k {self.folder} -c fsync=off"
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-w", "-t", "30", "-o", options,
                  "-l", str(self.folder / "log"), "start")  # fmt: skip

    def stop(self) -> None:
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-m", "immediate", "-w", "stop")

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self.programs / program), *arguments]
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            command = ["runuser", "-u", "postgres", "--", *command]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, timeout=60, text=True)  # noqa: PLW1510
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    for package in ("sqlalchemy", "psycopg"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed (the extra postgres)")
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    if not programs or not (programs[-1] / "initdb").exists():
        pytest.skip("no PostgreSQL server here (Debian's package postgresql)")
    if os.geteuid() == 0 and shutil.which("runuser") is None:
        pytest.skip("PostgreSQL does not run as root, and there is no runuser")
    folder = Path(tempfile.mkdtemp(prefix="agewise-pg-"))
    (folder / "password").write_text("pa@ss-w0rd\n")
    folder.chmod(0o700)
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
        shutil.chown(folder / "password", "postgres")
    server = PostgresServer(folder, programs[-1])
    server.start()
    yield server
    server.stop()
    shutil.rmtree(folder)


# ---------------------------------------------------------------- S3


class S3Server:
    """moto's server, which can be stopped and started; what it holds is gone with it."""

    def __init__(self) -> None:
        self.port = free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", "import sys; from moto.server import main; main(sys.argv[1:])",
             "-H", "127.0.0.1", "-p", str(self.port)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        wait_until(self._answers, 60)
        self.client().create_bucket(Bucket="faces")

    def stop(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def client(self) -> object:
        import boto3

        return boto3.client("s3", endpoint_url=self.endpoint)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(self.endpoint, timeout=5):
                return True
        except OSError:
            return False


@pytest.fixture(scope="session")
def s3_process() -> Iterator[S3Server]:
    for package in ("moto", "flask", "s3fs", "boto3"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed (the extras s3 and dev)")
    server = S3Server()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in AWS.items():
            patch.setenv(name, value)
        server.start()
    yield server
    server.stop()


AWS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "us-east-1"}


@pytest.fixture
def s3(s3_process: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """The server, and credentials by the standard means: the environment."""
    for name, value in AWS.items():
        monkeypatch.setenv(name, value)
    return s3_process


@pytest.fixture
def noon() -> datetime:
    return datetime(2026, 11, 25, 12, 0, 0, 250, tzinfo=UTC)

from __future__ import annotations

import errno
import io
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from agewise._files import atomic_path, atomic_write, shown
from agewise.errors import OutputError

posix_only = pytest.mark.skipif(os.name != "posix", reason="permissions, links and devices as POSIX has them")


def names_in(folder: Path) -> list[bytes]:
    return sorted(os.listdir(os.fsencode(folder)))


def test_the_bytes_stand_there_and_nothing_else(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "out.bin") as file:
        file.write(b"whole")
    assert (tmp_path / "out.bin").read_bytes() == b"whole"
    assert names_in(tmp_path) == [b"out.bin"]


def test_until_the_end_the_old_file_is_seen(tmp_path: Path) -> None:
    target = tmp_path / "out.bin"
    target.write_bytes(b"old")
    with atomic_write(str(target)) as file:
        file.write(b"new")
        file.flush()
        assert target.read_bytes() == b"old"
    assert target.read_bytes() == b"new"


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), SystemExit(2), MemoryError()])
@pytest.mark.parametrize("existing", [True, False])
def test_any_exception_passes_and_leaves_all_as_it_was(tmp_path: Path, error: BaseException, existing: bool) -> None:
    target = tmp_path / "out.bin"
    if existing:
        target.write_bytes(b"old")
    with pytest.raises(type(error)), atomic_write(target) as file:
        file.write(b"half")
        raise error
    assert names_in(tmp_path) == ([b"out.bin"] if existing else [])
    assert not existing or target.read_bytes() == b"old"


def test_an_abandoned_block_leaves_nothing(tmp_path: Path) -> None:
    def writes() -> Iterator[None]:
        with atomic_write(tmp_path / "out.bin") as file:
            file.write(b"half")
            yield

    writer = writes()
    next(writer)
    writer.close()  # type: ignore[attr-defined]
    assert names_in(tmp_path) == []


def test_the_bytes_are_on_the_disk_before_the_move(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, int]] = []
    replace = os.replace

    def moves(source: Path, target: Path) -> None:
        calls.append(("replace", os.stat(source).st_size))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", lambda fd: calls.append(("fsync", os.fstat(fd).st_size)))
    monkeypatch.setattr(os, "replace", moves)
    with atomic_write(tmp_path / "out.bin") as file:
        file.write(b"12345")
    assert calls == [("fsync", 5), ("replace", 5)]


def test_the_block_may_close_the_file(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "out.bin") as file:
        file.write(b"whole")
        file.close()
    assert (tmp_path / "out.bin").read_bytes() == b"whole"


@posix_only
@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_a_new_file_gets_what_the_umask_leaves(tmp_path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        with atomic_write(tmp_path / "out.bin") as file:
            file.write(b"x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "out.bin").stat().st_mode) == mode


@posix_only
def test_a_replaced_file_keeps_its_permissions_all_the_time(tmp_path: Path) -> None:
    target = tmp_path / "out.bin"
    target.write_bytes(b"old")
    target.chmod(0o600)
    with atomic_write(target) as file:
        assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}
        file.write(b"new")
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


@posix_only
@pytest.mark.parametrize("name", [b"caf\xe9 \xff.bin", "家族 photo.bin".encode(), b"a" * 255, b"-n", b".bin"])
def test_any_name_that_the_system_takes(tmp_path: Path, name: bytes) -> None:
    try:
        (tmp_path / os.fsdecode(name)).touch()
    except OSError as error:
        pytest.skip(f"this file system does not take the name: {error}")
    with atomic_write(tmp_path / os.fsdecode(name)) as file:
        file.write(b"whole")
    assert names_in(tmp_path) == [name]
    assert (tmp_path / os.fsdecode(name)).read_bytes() == b"whole"


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("missing/out.bin", "the folder .*missing does not exist"),
        ("folder", "folder: Is a directory"),
        ("file/out.bin", "Not a directory"),
        pytest.param("loop", "Too many levels of symbolic links", marks=posix_only),
    ],
)
def test_a_place_that_cannot_be_written(tmp_path: Path, place: str, said: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    before = names_in(tmp_path)
    with pytest.raises(OutputError, match=said) as caught, atomic_write(tmp_path / place):
        pytest.fail("the block must not run")
    assert f"cannot write {tmp_path / place}: " in str(caught.value)
    assert isinstance(caught.value.__cause__, OSError)
    assert names_in(tmp_path) == before


@posix_only
def test_a_read_only_folder(open_folder: Path, not_root: Callable[[], AbstractContextManager[None]]) -> None:
    open_folder.chmod(0o555)
    refused = pytest.raises(OutputError, match="Permission denied; choose")
    with not_root(), refused, atomic_write(open_folder / "out.bin"):
        pytest.fail("the block must not run")
    assert names_in(open_folder) == []


@posix_only
def test_a_write_protected_file_is_not_replaced(
    open_folder: Path, not_root: Callable[[], AbstractContextManager[None]]
) -> None:
    target = open_folder / "out.bin"
    target.write_bytes(b"kept")
    target.chmod(0o444)
    with not_root(), pytest.raises(OutputError, match="Permission denied"), atomic_write(target):
        pytest.fail("the block must not run")
    assert target.read_bytes() == b"kept"
    assert names_in(open_folder) == [b"out.bin"]


def test_a_name_with_undecodable_bytes_can_be_printed_in_the_message(tmp_path: Path) -> None:
    with pytest.raises(OutputError) as caught, atomic_write(tmp_path / "missing\udcff" / "caf\udce9.bin"):
        pytest.fail("the block must not run")
    assert rf"missing\xff{os.sep}caf\xe9.bin" in str(caught.value).encode("utf-8").decode()


@posix_only
@pytest.mark.parametrize("size", [10, 1_000_000])
def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path, size: int) -> None:
    """The limit on file sizes fails as a full disk does: in the middle of a write (1 MB), or in the last flush (10)."""
    (tmp_path / "out.bin").write_bytes(b"old")
    code = f"""
import resource
from agewise._files import atomic_path, atomic_write
resource.setrlimit(resource.RLIMIT_FSIZE, (5, 5))
with atomic_write("out.bin") as file:
    file.write(bytes({size}))
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "agewise.errors.OutputError: cannot write out.bin: File too large; free some space" in done.stderr
    assert names_in(tmp_path) == [b"out.bin"]
    assert (tmp_path / "out.bin").read_bytes() == b"old"


@pytest.mark.parametrize("step", ["write", "fsync", "replace"])
def test_no_space_at_any_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    def fails(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if step != "write":
        monkeypatch.setattr(os, step, fails)
    refused = pytest.raises(OutputError, match="No space left on device; free some space")
    with refused, atomic_write(tmp_path / "out.bin") as file:
        file.write(b"half")
        if step == "write":
            fails()
    assert names_in(tmp_path) == []


def test_an_output_error_of_the_block_is_not_wrapped_again(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"^rows do not fit$"), atomic_write(tmp_path / "out.csv"):
        raise OutputError("rows do not fit")
    assert names_in(tmp_path) == []


@posix_only
def test_a_link_stays_and_its_target_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "real.bin").write_bytes(b"old")
    (tmp_path / "link.bin").symlink_to("there/real.bin")
    (tmp_path / "dangling.bin").symlink_to("there/new.bin")
    for name in ("link.bin", "dangling.bin"):
        with atomic_write(tmp_path / name) as file:
            file.write(b"new")
        assert (tmp_path / name).is_symlink()
        assert (tmp_path / name).read_bytes() == b"new"
    assert names_in(tmp_path / "there") == [b"new.bin", b"real.bin"]


@posix_only
def test_a_pipe_is_written_to_and_stays_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()), daemon=True)
    reader.start()
    with atomic_write(pipe) as file:
        file.write(b"through")
    reader.join(timeout=10)
    assert read == [b"through"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.skipif(not os.path.exists("/dev/stdout"), reason="no /dev/stdout")
def test_standard_output_by_its_path() -> None:
    code = "from agewise._files import atomic_write\nwith atomic_write('/dev/stdout') as f: f.write(b'through')"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True)
    assert done.stdout == b"through"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_full_device() -> None:
    with pytest.raises(OutputError, match="cannot write /dev/full: No space left"), atomic_write("/dev/full") as file:
        file.write(b"x")
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)


@pytest.mark.parametrize(("path", "text"), [("a/b.jpg", "a/b.jpg"), ("caf\udce9.jpg", r"caf\xe9.jpg"), ("日", "日")])
def test_shown(path: str, text: str) -> None:
    assert shown(path) == text
    print(shown(Path(path)), file=io.TextIOWrapper(io.BytesIO(), "utf-8"))


class TestAtomicPath:
    def test_what_was_written_by_name_stands_at_the_end(self, tmp_path: Path) -> None:
        target = tmp_path / "a.mp4"
        with atomic_path(target) as temporary:
            temporary.write_bytes(b"new")
            assert temporary.parent == tmp_path
            assert not target.exists()
        assert target.read_bytes() == b"new"
        assert os.listdir(tmp_path) == ["a.mp4"]

    @pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
    def test_an_exception_leaves_the_old_file(self, tmp_path: Path, error: type[BaseException]) -> None:
        target = tmp_path / "a.mp4"
        target.write_bytes(b"old")
        with pytest.raises(error), atomic_path(target) as temporary:
            temporary.write_bytes(b"half")
            raise error
        assert (target.read_bytes(), os.listdir(tmp_path)) == (b"old", ["a.mp4"])

    @pytest.mark.parametrize(
        ("name", "said"),
        [("none/a.mp4", "does not exist; create it first"), (".", "name a file in an existing folder")],
    )
    def test_where_no_file_can_stand(self, tmp_path: Path, name: str, said: str) -> None:
        with pytest.raises(OutputError, match=said), atomic_path(tmp_path / name):
            pass

    @pytest.mark.skipif(os.name != "posix", reason="pipes as POSIX has them")
    def test_a_pipe_has_no_place_for_an_index(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(OutputError, match="it is no regular file"), atomic_path(tmp_path / "pipe"):
            pass

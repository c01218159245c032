"""Runs that end early: Ctrl-C and its like, a reader that goes away, a disk that is full."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agewise.cli._stops import Stopped, StopSignals

posix_only = pytest.mark.skipif(os.name != "posix", reason="signals and pipes as POSIX has them")
Start = Callable[..., Any]
MakePicture = Callable[..., Path]


@pytest.fixture
def endless(tmp_path: Path) -> Path:
    """A picture that never comes: a pipe that nobody writes to."""
    path = tmp_path / "endless.jpg"
    os.mkfifo(path)
    return path


@posix_only
class TestSignals:
    @pytest.mark.parametrize(("name", "status"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
    @pytest.mark.parametrize("suffix", ["csv", "jsonl"])
    def test_what_was_done_is_kept(
        self,
        start: Start,
        make_picture: MakePicture,
        tmp_path: Path,
        endless: Path,
        name: str,
        status: int,
        suffix: str,
    ) -> None:
        output = tmp_path / f"out.{suffix}"
        child = start(make_picture("a.png"), endless, make_picture("b.png"), "--output", output, "--json")
        first = child.process.stdout.readline()
        time.sleep(0.5)  # by now it waits for the second picture
        assert not output.exists(), "nothing half-written is ever seen"
        child.process.send_signal(getattr(signal, name))
        done = child.finish()
        assert (done.status, done.out) == (status, "")
        assert done.lines == [f"agewise: stopped after 1 of 3 pictures; {output} holds these"]
        text = output.read_text()
        assert text == first.decode() if suffix == "jsonl" else len(text.splitlines()) == 2
        assert [name for name in os.listdir(endless.parent) if name.endswith(".part")] == []

    def test_an_old_file_is_replaced_by_what_was_done(
        self, start: Start, make_picture: MakePicture, tmp_path: Path, endless: Path
    ) -> None:
        pytest.importorskip("pyarrow", reason="the extra parquet")
        from pyarrow import parquet

        output = tmp_path / "out.parquet"
        output.write_bytes(b"old")
        child = start(make_picture("a.png"), endless, "--output", output, "--json")
        child.process.stdout.readline()
        time.sleep(0.5)
        child.process.send_signal(signal.SIGINT)
        assert child.finish().status == 130
        assert parquet.read_table(output).num_rows == 1

    def test_standard_input_that_never_comes(self, start: Start) -> None:
        child = start("-", "--json", stdin=subprocess.PIPE)
        started = start("/dev/null", "--json")  # as long as it takes to start
        started.finish()
        child.process.send_signal(signal.SIGINT)
        done = child.finish()
        assert done.status == 130
        assert "Traceback" not in done.err

    def test_held_signals_wait_and_a_second_does_not(self) -> None:
        inherited = signal.signal(signal.SIGINT, signal.default_int_handler)  # it is ignored in a background shell
        try:
            self._hold_two_signals()
        finally:
            signal.signal(signal.SIGINT, inherited)

    def _hold_two_signals(self) -> None:
        before = signal.getsignal(signal.SIGINT)
        with StopSignals() as stops:
            with pytest.raises(Stopped) as caught, stops.held():
                signal.raise_signal(signal.SIGINT)
                done = True
            assert (done, caught.value.exit_code) == (True, 130)
            with pytest.raises(Stopped), stops.held():
                signal.raise_signal(signal.SIGINT)
                signal.raise_signal(signal.SIGTERM)
                pytest.fail("the second was held")
        assert signal.getsignal(signal.SIGINT) is before

    def test_ignored_signals_stay_ignored(self) -> None:
        before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
        try:
            with StopSignals():
                signal.raise_signal(signal.SIGHUP)
        finally:
            signal.signal(signal.SIGHUP, before)

    def test_other_threads_get_none(self) -> None:
        failures: list[BaseException] = []

        def use() -> None:
            try:
                with StopSignals() as stops, stops.held():
                    pass
            except BaseException as error:  # noqa: BLE001  a thread's exceptions are lost otherwise
                failures.append(error)

        thread = threading.Thread(target=use)
        thread.start()
        thread.join()
        assert failures == []


@posix_only
@pytest.mark.parametrize("flags", [["--json"], []])
def test_a_reader_that_goes_away_ends_it_quietly(
    start: Start, make_picture: MakePicture, tmp_path: Path, flags: list[str]
) -> None:
    pictures = [make_picture(f"{i}.png") for i in range(40)]
    output = ["--output", tmp_path / "out.csv"] if flags else []
    child = start(*pictures, *flags, *output)
    child.process.stdout.readline()
    child.process.stdout.close()
    child.process.stdout = None
    done = child.finish()
    assert done.err == ""
    assert done.status in (0, 141), "0 where all was written before the reader went"
    if flags:
        rows = (tmp_path / "out.csv").read_text().splitlines()
        assert rows[0].startswith("source,")
        assert len(rows) > 1


@posix_only
def test_help_into_a_reader_that_went_away(start: Start) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    child = start("--help", stdout=writing)
    os.close(writing)
    done = child.finish()
    assert (done.status, done.err) == (141, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
class TestFullDisk:
    @pytest.mark.parametrize("arguments", [["--help"], ["--json"], []])
    def test_standard_output(self, start: Start, make_picture: MakePicture, arguments: list[str]) -> None:
        with open("/dev/full", "wb") as full:
            done = start(make_picture("a.png"), *arguments, stdout=full).finish()
        assert done.status == 1
        assert done.lines == ["agewise: cannot write to standard output: No space left on device"]

    @pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
    def test_output_device(self, start: Start, make_picture: MakePicture, tmp_path: Path, suffix: str) -> None:
        if suffix == "parquet":
            pytest.importorskip("pyarrow", reason="the extra parquet")
        output = tmp_path / f"out.{suffix}"
        output.symlink_to("/dev/full")
        done = start(make_picture("a.png"), "--output", output).finish()
        assert (done.status, done.out, len(done.lines)) == (1, "", 1)
        assert done.lines[0].startswith(f"agewise: cannot write {output}: No space left on device")


LIMITED = """
import resource, sys
from agewise.cli.main import main
resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, 2_000))
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits as Linux has them")
def test_a_disk_that_gets_full_on_the_way_leaves_nothing_half_written(
    onnx_path: Path, make_picture: MakePicture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import agewise

    pictures = [make_picture(f"{i}.png") for i in range(30)]
    output = tmp_path / "out.jsonl"
    output.write_bytes(b"old")
    flags = ["--model", onnx_path, "--detector", "none", "--output", output]
    environment = os.environ | {"PYTHONPATH": str(Path(agewise.__file__).resolve().parents[1])}
    command = [sys.executable, "-c", LIMITED, "predict", *pictures, *flags]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"agewise: cannot write {output}: File too large")
    assert done.stderr.count("\n") == 1
    assert output.read_bytes() == b"old"
    assert [name for name in os.listdir(tmp_path) if name.endswith(".part")] == []


@posix_only
def test_an_output_that_cannot_be_written_is_told_before_the_first_picture(
    predict: Callable[..., Any],
    open_folder: Path,
    onnx_path: Path,
    make_picture: MakePicture,
    not_root: Callable[[], Any],
) -> None:
    picture = open_folder / "a.png"
    picture.write_bytes(make_picture("a.png").read_bytes())
    model = open_folder / "tiny.onnx"
    model.write_bytes(onnx_path.read_bytes())
    assert predict(picture, "--model", model, "--draw", open_folder / "drawn").status == 0  # all is imported by now
    closed = open_folder / "closed"
    closed.mkdir()
    closed.chmod(0o555)
    for flags, message in (
        (["--output", closed / "out.csv"], f"cannot write {closed}/out.csv: Permission denied; choose a file"),
        (["--draw", closed], f"cannot write drawings to {closed}: Permission denied; choose a folder"),
        (["--draw", closed / "new"], f"cannot write drawings to {closed}/new: Permission denied"),
        (["--output", open_folder / "no" / "out.csv"], f"the folder {open_folder}/no does not exist; create it"),
    ):
        with not_root():
            done = predict(picture, picture.with_name("b.png"), "--model", model, "--json", *flags)
        assert (done.status, done.out, len(done.lines)) == (1, "", 1)
        assert message in done.err
    assert list(closed.iterdir()) == []


def test_closed_standard_streams(start: Start, make_picture: MakePicture, tmp_path: Path) -> None:
    picture, output = make_picture("a.png"), tmp_path / "out.jsonl"
    child = start(picture, "--output", output, preexec_fn=lambda: [os.close(number) for number in (0, 1, 2)])
    assert child.finish().status == 0
    assert json.loads(output.read_text())["source"] == str(picture)

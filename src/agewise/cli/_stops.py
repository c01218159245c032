"""Ctrl-C, SIGTERM and SIGHUP: each ends a run between two pictures, never inside a record."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType, TracebackType
from typing import Any, Self

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")  # the last is unknown to Windows


class Stopped(KeyboardInterrupt):
    """Someone asked us to stop. The exit status is the shell's: 128 and the signal's number."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.exit_code = 128 + signum


class StopSignals:
    """While entered, a signal to stop raises `Stopped`, at once or where it is held, at the release.

    A second signal is never held, so that a run that hangs can be ended. Signals that are ignored, as `nohup`
    ignores SIGHUP, stay so. Outside the main thread, where Python gets no signals, this does nothing.
    """

    def __init__(self) -> None:
        self._before: dict[int, Callable[[int, FrameType | None], Any] | int | None] = {}
        self._holding = False
        self._pending: int | None = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for name in _NAMES:
                number = getattr(signal, name, None)
                if number is not None and signal.getsignal(number) not in (signal.SIG_IGN, None):
                    self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def hold(self) -> None:
        """From here on a signal waits for `release`, but for the second."""
        self._holding = True

    def release(self) -> None:
        """Signals raise at once again; one that waited raises now."""
        self._holding = False
        if self._pending is not None:
            number, self._pending = self._pending, None
            raise Stopped(number)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Holds signals for a block that shall not be left half-done."""
        self.hold()
        try:
            yield
        finally:
            self._holding = False
        self.release()

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if not self._holding or self._pending is not None:
            raise Stopped(number)
        self._pending = number

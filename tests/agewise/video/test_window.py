"""The window, on SDL's driver that draws to memory: what it shows, what keys mean, what it says where it cannot be."""

from __future__ import annotations

import builtins
import importlib.util
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from agewise.errors import MissingExtraError
from agewise.types import UInt8Array
from agewise.video import window as module
from agewise.video.window import NoScreenError, Window, fit_within

HAS_PYGAME = importlib.util.find_spec("pygame") is not None
needs_pygame = pytest.mark.skipif(not HAS_PYGAME, reason="needs pygame-ce, the extra live")


@pytest.fixture
def window(monkeypatch: pytest.MonkeyPatch) -> Iterator[Window]:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    with Window("a test", (640, 360)) as window:
        yield window


def pixels() -> UInt8Array:
    """What the window shows: uint8 RGB (height, width, 3)."""
    import pygame

    return np.asarray(pygame.surfarray.array3d(pygame.display.get_surface()), dtype=np.uint8).transpose(1, 0, 2)


@needs_pygame
def test_the_picture_fills_the_window_in_its_proportions(window: Window) -> None:
    width, height = window.size_wh
    image = np.zeros((360, 640, 3), np.uint8)
    image[:, :320], image[:, 320:] = (200, 0, 0), (0, 0, 200)
    window.show(image, "status")
    shown = pixels()
    assert shown.shape == (height, width, 3)
    assert shown[100, 100].tolist() == [200, 0, 0]
    assert shown[100, 400].tolist() == [0, 0, 200]
    red = (shown == (200, 0, 0)).all(axis=2).sum()
    blue = (shown == (0, 0, 200)).all(axis=2).sum()
    assert red == blue == width // 2 * (width * 9 // 16)
    # Below it stand the two lines: text is brighter than the bar.
    assert (shown[height - 40 :, :200].max(axis=2) > 140).any()


@needs_pygame
def test_a_tall_picture_has_room_beside_it(window: Window) -> None:
    window.show(np.full((720, 360, 3), (10, 220, 10), np.uint8), "status")
    columns = np.flatnonzero((pixels()[50] == (10, 220, 10)).all(axis=1))
    width = window.size_wh[0]
    assert abs((columns[0] + columns[-1]) / 2 - width / 2) <= 1
    assert len(columns) == pytest.approx(360 * 360 / 720, abs=2)


@needs_pygame
def test_a_message_lies_over_the_picture_for_a_while_and_trouble_as_long_as_it_lasts(
    window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    image = np.full((360, 640, 3), 90, np.uint8)

    def shown(trouble: str = "") -> UInt8Array:
        window.show(image, "status", trouble)
        return pixels()[:360]

    plain = shown()
    window.say("1 record to faces.jsonl", flash=True)
    flashed = shown()
    now[0] += 1
    told = shown()
    now[0] += 4
    assert (flashed[0] == module._ACCENT).all()  # the bright frame
    assert not (told[0] == module._ACCENT).any()
    assert (told != plain).any()
    assert (shown() == plain).all()
    assert (shown("camera 0 went away: waiting for it") != plain).any()
    now[0] += 1000
    assert (shown("camera 0 went away: waiting for it") != plain).any()
    assert (shown() == plain).all()


@needs_pygame
def test_keys_and_the_closing_of_the_window(window: Window) -> None:
    import pygame

    window.pressed()
    for key in (pygame.K_SPACE, pygame.K_x, pygame.K_d, pygame.K_m, pygame.K_q, pygame.K_ESCAPE):
        pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=key))
    pygame.event.post(pygame.event.Event(pygame.QUIT))
    assert window.pressed() == ["capture", "detector", "model", "quit", "quit", "quit"]
    assert window.pressed() == []


@needs_pygame
def test_only_video_is_initialised(window: Window) -> None:
    import pygame

    assert pygame.display.get_init()
    assert "pygame.mixer" not in sys.modules or pygame.mixer.get_init() is None
    assert not pygame.joystick.get_init()


@needs_pygame
@pytest.mark.parametrize("size_wh", [(3840, 2160), (40, 30), (100, 4000)])
def test_it_opens_no_larger_than_the_screen_and_large_enough_to_read(window: Window, size_wh: tuple[int, int]) -> None:
    import pygame

    window.fit(size_wh)
    screen = pygame.display.get_desktop_sizes()[0]
    assert module._LEAST_WH[0] <= window.size_wh[0] <= screen[0]
    assert module._LEAST_WH[1] <= window.size_wh[1] <= screen[1]


@needs_pygame
def test_long_texts_are_cut_or_wrapped(window: Window) -> None:
    window.show(None, "status " * 200, "trouble " * 60)
    cut = window._cut("status " * 200, 300)
    assert cut.endswith("…")
    assert window._font.size(cut)[0] <= 300
    assert window._cut("short", 300) == "short"


@pytest.mark.parametrize(
    ("picture", "room", "expected"),
    [
        ((200, 100), (100, 100), (0, 25, 100, 50)),
        ((100, 200), (400, 400), (100, 0, 200, 400)),
        ((10_000, 1), (100, 100), (0, 49, 100, 1)),
    ],
)
def test_fit_within(picture: tuple[int, int], room: tuple[int, int], expected: tuple[int, int, int, int]) -> None:
    assert fit_within(picture, room) == expected


@needs_pygame
@pytest.mark.skipif(sys.platform != "linux", reason="other systems have a screen or say so themselves")
def test_without_a_screen_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(NoScreenError, match=r"no screen here.*--headless"):
        Window("a test")


@needs_pygame
@pytest.mark.skipif(sys.platform != "linux", reason="X11")
def test_a_screen_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":4242")
    monkeypatch.setenv("SDL_VIDEODRIVER", "x11")
    with pytest.raises(NoScreenError, match=r"cannot be used.*--headless"):
        Window("a test")


def test_without_pygame_it_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    original = builtins.__import__

    def guarded(name: str, *rest: Any) -> Any:
        assert not name.startswith("pygame")
        return original(name, *rest)

    monkeypatch.setattr(builtins, "__import__", guarded)
    with pytest.raises(MissingExtraError, match=r"agewise\[live\]"):
        Window("a test")


@needs_pygame
def test_the_keys_fit_into_the_narrowest_window_that_opens(window: Window) -> None:
    assert window._cut(module.KEYS_LINE, module._LEAST_WH[0] - 20) == module.KEYS_LINE

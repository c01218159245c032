"""A window that shows pictures with two lines of text below, and gives the keys that were pressed. Needs pygame-ce."""

from __future__ import annotations

import importlib.util
import os
import sys
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias

import cv2
import numpy as np

from agewise.errors import AgewiseError, MissingExtraError
from agewise.types import UInt8Array

Key: TypeAlias = Literal["capture", "detector", "model", "quit"]

KEYS_LINE = "Space  record    d  detector    m  model    q, Esc  quit"
_SCREEN_SHARE = 0.85  # of the screen's sides, at most, when the window opens
_LEAST_WH = (480, 320)
_BACKGROUND = (24, 26, 30)
_BAR = (38, 41, 47)
_TEXT = (235, 235, 235)
_FAINT = (165, 170, 180)
_ACCENT = (255, 221, 87)
_FLASH_SECONDS = 0.25
_MESSAGE_SECONDS = 4.0


class NoScreenError(AgewiseError, OSError):
    """There is no screen to open a window on."""


class Window:
    """A resizable window; the picture keeps its proportions. For one thread, the one that made it.

    Args:
        title: of the window.
        picture_wh: size in pixels of the pictures to come; the window opens with it, or smaller if the screen is.

    Raises:
        MissingExtraError: pygame-ce is not installed.
        NoScreenError: there is no screen, or it cannot be used.
    """

    def __init__(self, title: str, picture_wh: tuple[int, int] = (1280, 720)) -> None:
        self._pygame = pygame = _import_pygame()
        _check_screen()
        try:
            pygame.display.init()  # video only: no sound, no joysticks
            pygame.font.init()
            self._font = pygame.font.Font(None, 22)
            self._bar_height = 2 * self._font.get_linesize() + 14
            pygame.display.set_caption(title)
            pygame.display.set_mode(self._opening_size(picture_wh), pygame.RESIZABLE)
        except pygame.error as error:
            pygame.display.quit()
            raise NoScreenError(f"the screen cannot be used ({error}): {_INSTEAD}") from error
        self._message = ""
        self._message_until = 0.0
        self._flash_until = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def size_wh(self) -> tuple[int, int]:
        """The window's size in pixels."""
        width, height = self._pygame.display.get_surface().get_size()
        return int(width), int(height)

    def fit(self, picture_wh: tuple[int, int]) -> None:
        """Resize the window for pictures of this size."""
        self._pygame.display.set_mode(self._opening_size(picture_wh), self._pygame.RESIZABLE)

    def say(self, text: str, *, seconds: float = _MESSAGE_SECONDS, flash: bool = False) -> None:
        """Show a message over the picture for a while; with `flash`, a bright frame for an instant as well."""
        now = time.monotonic()
        self._message, self._message_until = text, now + seconds
        if flash:
            self._flash_until = now + _FLASH_SECONDS

    def show(self, image_rgb: UInt8Array | None, status: str, trouble: str = "") -> None:
        """Draw all anew.

        Args:
            image_rgb: uint8 RGB (height, width, 3); None where there is none yet.
            status: the first line below the picture.
            trouble: shown over the picture as long as it is given, before any message.
        """
        pygame, screen = self._pygame, self._pygame.display.get_surface()
        width, height = screen.get_size()
        room = (0, 0, width, max(1, height - self._bar_height))
        screen.fill(_BACKGROUND)
        now = time.monotonic()
        if image_rgb is not None:
            x, y, w, h = fit_within((image_rgb.shape[1], image_rgb.shape[0]), (room[2], room[3]))
            screen.blit(pygame.image.frombuffer(_resized(image_rgb, (w, h)).tobytes(), (w, h), "RGB"), (x, y))
            if now < self._flash_until:
                pygame.draw.rect(screen, _ACCENT, (x, y, w, h), width=max(6, min(w, h) // 40))
        message = trouble or (self._message if now < self._message_until else "")
        if message:
            self._plate(screen, message, room)
        pygame.draw.rect(screen, _BAR, (0, room[3], width, self._bar_height))
        line = self._font.get_linesize()
        for text, colour, top in ((status, _TEXT, 5), (KEYS_LINE, _FAINT, 9 + line)):
            screen.blit(self._font.render(self._cut(text, width - 20), True, colour), (10, room[3] + top))
        pygame.display.flip()

    def pressed(self) -> list[Key]:
        """What was pressed since the last call, in order; closing the window is «quit»."""
        pygame = self._pygame
        meaning: dict[int, Key] = {
            pygame.K_SPACE: "capture",
            pygame.K_d: "detector",
            pygame.K_m: "model",
            pygame.K_q: "quit",
            pygame.K_ESCAPE: "quit",
        }
        found: list[Key] = []
        for event in pygame.event.get():
            if event.type == pygame.QUIT:
                found.append("quit")
            elif event.type == pygame.KEYDOWN and event.key in meaning:
                found.append(meaning[event.key])
        return found

    def close(self) -> None:
        """Close the window."""
        self._pygame.font.quit()
        self._pygame.display.quit()

    def _opening_size(self, picture_wh: tuple[int, int]) -> tuple[int, int]:
        screen_w, screen_h = self._pygame.display.get_desktop_sizes()[0]
        most = (int(_SCREEN_SHARE * screen_w), int(_SCREEN_SHARE * screen_h) - self._bar_height)
        shrink = min(1.0, most[0] / picture_wh[0], most[1] / picture_wh[1])
        width, height = round(picture_wh[0] * shrink), round(picture_wh[1] * shrink)
        return max(_LEAST_WH[0], width), max(_LEAST_WH[1], height + self._bar_height)

    def _cut(self, text: str, width: int) -> str:
        """The text, or as much of its beginning as the width holds."""
        if self._font.size(text)[0] <= width:
            return text
        while text and self._font.size(text + "…")[0] > width:
            text = text[:-1]
        return text + "…"

    def _plate(self, screen: Any, text: str, room: Sequence[int]) -> None:
        """A text on a dark plate, at the foot of the picture, in as many lines as it needs."""
        pygame = self._pygame
        lines = _wrap(text, lambda part: self._font.size(part)[0] <= room[2] - 60)
        line = self._font.get_linesize()
        wide = max(self._font.size(part)[0] for part in lines) + 28
        high = line * len(lines) + 16
        plate = pygame.Rect((room[2] - wide) // 2, max(0, room[3] - high - 16), wide, high)
        pygame.draw.rect(screen, (0, 0, 0), plate, border_radius=6)
        pygame.draw.rect(screen, _ACCENT, plate, width=1, border_radius=6)
        for i, part in enumerate(lines):
            drawn = self._font.render(part, True, _TEXT)
            screen.blit(drawn, ((room[2] - drawn.get_width()) // 2, plate.top + 8 + i * line))


_INSTEAD = (
    "use --headless, with --sink FILE for the records, or `agewise video` to draw on a video file; "
    "over SSH, `ssh -X` lends your own screen"
)


def fit_within(picture_wh: tuple[int, int], room_wh: tuple[int, int]) -> tuple[int, int, int, int]:
    """(x, y, width, height) of a picture as large as it fits into the room, in its proportions, in the middle.

    >>> fit_within((200, 100), (100, 100))
    (0, 25, 100, 50)
    """
    scale = min(room_wh[0] / picture_wh[0], room_wh[1] / picture_wh[1])
    width, height = (max(1, min(room, round(side * scale))) for side, room in zip(picture_wh, room_wh, strict=True))
    return (room_wh[0] - width) // 2, (room_wh[1] - height) // 2, width, height


def _resized(image_rgb: UInt8Array, size_wh: tuple[int, int]) -> UInt8Array:
    if (image_rgb.shape[1], image_rgb.shape[0]) == size_wh:
        return image_rgb
    # Averaging takes nine times as long (26 ms against 3 at 1280 × 720), and is needed only below a half.
    way = cv2.INTER_AREA if 2 * size_wh[0] < image_rgb.shape[1] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image_rgb, size_wh, interpolation=way), dtype=np.uint8)


def _wrap(text: str, fits: Callable[[str], bool]) -> list[str]:
    lines: list[str] = []
    for word in text.split():
        if lines and fits(f"{lines[-1]} {word}"):
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines or [""]


def _import_pygame() -> Any:
    if importlib.util.find_spec("pygame") is None:
        raise MissingExtraError("a window (agewise live without --headless)", "live")
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")  # else it greets on standard output
    os.environ.setdefault("SDL_VIDEO_X11_WMCLASS", "agewise")  # else a desktop would call it after the interpreter
    import pygame
    import pygame.font

    return pygame


def _check_screen() -> None:
    """SDL would else try drivers that draw to nowhere.

    Raises:
        NoScreenError: Linux without a display.
    """
    named = any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"))
    if sys.platform.startswith("linux") and not named:
        raise NoScreenError(f"there is no screen here (neither DISPLAY nor WAYLAND_DISPLAY is set): {_INSTEAD}")

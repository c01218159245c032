"""The sound of a moving picture: its packets are copied where the file takes their codec, else made AAC anew."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from agewise.video._av import load_av

COPIED = ("aac", "mp3", "ac3", "eac3", "alac", "opus")
"""Codecs that MP4, MOV and Matroska hold, and that players know there."""

_LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}
"""By number of channels: files of raw sound do not name theirs, which the encoder wants. Others are mixed to two."""


class Sound:
    """One sound stream in a file that is being written.

    Args:
        container: PyAV's, open for writing.
        template: PyAV's stream that the packets come from.
    """

    def __init__(self, container: Any, template: Any) -> None:
        self._av = load_av()
        self._container = container
        self._template = template
        self.is_copied = template.codec_context.name.removesuffix("float") in COPIED
        if self.is_copied:
            self._stream = container.add_stream_from_template(template)
        else:
            self._stream = container.add_stream("aac", rate=template.codec_context.sample_rate or 48_000)
            self._stream.codec_context.layout = _LAYOUTS.get(template.codec_context.channels, "stereo")
        self._last: int | None = None
        self.bad = 0

    def write(self, packet: Any, offset: Fraction) -> None:
        """Take a packet, its times less `offset` seconds; one that cannot be decoded is counted in `bad`."""
        shift = round(offset / packet.time_base)
        if self.is_copied:
            self._copy(packet, shift)
            return
        try:
            frames = packet.decode()
        except self._av.error.FFmpegError:
            self.bad += 1
            return
        for frame in frames:
            if frame.pts is not None:
                frame.pts -= round(offset / frame.time_base)
            self._container.mux(self._stream.encode(frame))

    def finish(self) -> None:
        """Write what the encoder holds back."""
        if not self.is_copied:
            self._container.mux(self._stream.encode(None))

    def _copy(self, packet: Any, shift: int) -> None:
        packet.pts -= shift
        packet.dts = packet.pts if packet.dts is None else packet.dts - shift
        if self._last is not None and packet.dts <= self._last:
            return  # the file takes rising times only; what comes late is a repetition
        self._last = packet.dts
        packet.stream = self._stream
        self._container.mux(packet)

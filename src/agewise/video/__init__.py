"""Moving pictures: frames in (file, stream, sequence of pictures), frames out, and quick drawing on them.

>>> from agewise.video import open_video                                  # doctest: +SKIP
>>> with open_video("clip.mp4") as video:                                 # doctest: +SKIP
...     for frame in video:
...         print(frame.index, frame.seconds, frame.image_rgb.shape)
"""

from agewise.video.frame import Frame
from agewise.video.reader import Video, open_video
from agewise.video.writer import VideoWriter, open_writer

__all__ = ["Frame", "Video", "VideoWriter", "open_video", "open_writer"]

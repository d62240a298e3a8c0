import os
from typing import TYPE_CHECKING

import numpy as np

from .errors import NoVideoError, VideoReadError
from .packet_index import demux
from .reader import VideoReader, effective_fps
from .storage_errors import refuse_failing_storage
from .video_streams import PICTURE_CODECS, check_compatible, open_video, refuse_playlist

if TYPE_CHECKING:
    import cv2


class OpenCVReader(VideoReader):
    """Read with OpenCV, in order from the first frame.

    OpenCV's frame count and seeks are unreliable, so the frames are counted by decoding them once.

    Args:
        filename (str): The video.

    Examples:
        >>> import tempfile
        >>> import numpy as np
        >>> from mmclip4clip.datasets.video_readers import open_reader
        >>> from mmclip4clip.moving_shapes.generator import write_video
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_video(f'{folder}/v.mp4', np.zeros((8, 48, 64, 3), np.uint8))
        ...     with open_reader('opencv', f'{folder}/v.mp4') as reader:
        ...         frames = reader.read([0, 7])
        >>> reader.num_frames, frames[1].shape
        (8, (48, 64, 3))
    """

    def __init__(self, filename: str) -> None:
        import cv2  # here, because it is not needed beside another backend

        self._filename = os.path.abspath(filename)  # "a:b.mp4" alone would be a protocol
        refuse_playlist(filename)  # before OpenCV opens it
        capture = self._open()
        container, stream = open_video(filename)
        with container:
            check_compatible('OpenCV', container, stream)
            is_picture = stream.codec_context.name in PICTURE_CODECS
            has_packets = next(demux(container, stream), None) is not None
        stamps = []
        while capture.grab():
            stamps.append(capture.get(cv2.CAP_PROP_POS_MSEC) / 1000)
        reported, fps = capture.get(cv2.CAP_PROP_FRAME_COUNT), capture.get(cv2.CAP_PROP_FPS)
        capture.release()
        refuse_failing_storage(filename)  # OpenCV takes a read that fails for the end of the file
        if not stamps and has_packets:  # damaged, or a codec that OpenCV lacks, such as AV1
            raise VideoReadError('OpenCV decodes none of its frames')
        if not stamps:
            raise NoVideoError('it has no frame')
        if len(stamps) == 1 and (reported < 1 or is_picture):
            raise NoVideoError('it is a picture')
        self.num_frames = self.reported_frames = len(stamps)  # OpenCV's own number may be a guess
        seconds = np.array(stamps) - stamps[0]
        rising = bool(np.isfinite(seconds).all() and (np.diff(seconds) > 0).all())
        self.fps, self.times = effective_fps(seconds if rising else None, fps)

    def _open(self) -> 'cv2.VideoCapture':
        import cv2

        capture = cv2.VideoCapture(self._filename, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
        if not capture.isOpened():
            raise VideoReadError('OpenCV cannot open it')
        capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)  # OpenCV 4.11 would leave turned videos on their side
        return capture

    def _decode(self, indices: list[int]) -> dict[int, np.ndarray]:
        import cv2

        capture, frames, wanted = self._open(), {}, set(indices)
        for i in range(indices[-1] + 1):
            if not capture.grab():
                raise VideoReadError(f'frame {i} decoded once, but not again')
            if i in wanted:
                frame = capture.retrieve()[1]
                self._count(*frame.shape[:2])
                frames[i] = cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
        capture.release()
        return frames

import cv2
import pytest

from mmclip4clip.datasets.video_readers import NoVideoError, OpenCVReader, VideoReadError

from ...videos import write_picture, write_sound


def test_frames_are_counted_and_not_believed(files):
    assert cv2.VideoCapture(str(files['over'])).get(cv2.CAP_PROP_FRAME_COUNT) == 60
    assert 20 < OpenCVReader(str(files['over'])).num_frames < 40
    assert OpenCVReader(str(files['uneven_mkv'])).num_frames == 60


def test_pictures_and_sounds_are_no_videos(tmp_path):
    with pytest.raises(NoVideoError, match='it is a picture'):
        OpenCVReader(str(write_picture(tmp_path / 'a.mp4')))
    with pytest.raises(VideoReadError, match='OpenCV cannot open it'):
        OpenCVReader(str(write_sound(tmp_path / 'b.mp4')))

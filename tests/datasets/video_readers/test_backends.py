import cv2
import pytest

from mmclip4clip.datasets.video_readers import (
    NoVideoError,
    VideoReadError,
    backends,
    check_backends,
    open_reader,
)

from ...videos import at_rate, write_frames


@pytest.mark.parametrize('names', [[], 'decord', ['decord', 'ffmpeg']])
def test_unknown_backends_are_refused(names):
    with pytest.raises(
        ValueError, match=r"one or more of \['decord', 'pyav', 'opencv', 'torchcodec'\], got "
    ):
        check_backends(names)


def test_a_missing_package_is_named_with_the_line_that_installs_it(monkeypatch):
    monkeypatch.setattr(backends, 'find_spec', lambda name: None if name == 'cv2' else object())
    check_backends(['decord', 'pyav'])
    with pytest.raises(ImportError, match="'opencv' needs .* pip install opencv-python"):
        check_backends(['decord', 'opencv'])


def test_a_reader_closes_its_file(files):
    with open_reader('pyav', str(files['mp4'])) as reader:
        reader.read([0])
    with pytest.raises(VideoReadError, match='not open'):  # packets are read when they are needed
        reader.read([0])


@pytest.mark.parametrize('backend', ['pyav', 'decord', 'opencv'])
def test_a_name_with_a_colon_is_a_file_and_no_protocol(files, tmp_path, monkeypatch, backend):
    (tmp_path / 'a:b.mp4').write_bytes(files['mp4'].read_bytes())
    monkeypatch.chdir(tmp_path)
    assert open_reader(backend, 'a:b.mp4').num_frames == 60


def test_what_opencv_cannot_decode_is_still_a_video(tmp_path):
    # The AV1 encoder of PyAV 14 takes no less than 64 rows.
    path = write_frames(tmp_path / 'a.mp4', at_rate(30, 4), codec='libsvtav1', height=64)
    if cv2.VideoCapture(str(path)).read()[0]:
        pytest.skip('this OpenCV decodes AV1')
    with pytest.raises(VideoReadError, match='OpenCV decodes none of its frames') as error:
        open_reader('opencv', str(path))
    assert not isinstance(error.value, NoVideoError)
    assert open_reader('pyav', str(path)).num_frames == 4

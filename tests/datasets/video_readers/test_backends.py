import pytest

from mmclip4clip.datasets.video_readers import backends, check_backends, open_reader


@pytest.mark.parametrize('names', [[], 'decord', ['decord', 'ffmpeg']])
def test_unknown_backends_are_refused(names):
    with pytest.raises(ValueError, match=r"one or more of \['decord', 'pyav', 'opencv'\], got "):
        check_backends(names)


def test_a_missing_package_is_named_with_the_line_that_installs_it(monkeypatch):
    monkeypatch.setattr(backends, 'find_spec', lambda name: None if name == 'cv2' else object())
    check_backends(['decord', 'pyav'])
    with pytest.raises(ImportError, match="'opencv' needs .* pip install opencv-python"):
        check_backends(['decord', 'opencv'])


def test_a_reader_closes_its_file(files):
    with open_reader('pyav', str(files['mp4'])) as reader:
        reader.read([0])
    assert reader.read([0]) is not None  # from the packets in memory

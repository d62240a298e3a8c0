import decord
import numpy as np
import pytest

from mmclip4clip.datasets.video_readers import DecordReader, VideoReadError

from ...videos import at_rate, decode_in_order, write_frames


def found(frames, expected) -> list:
    return [next(i for i, e in enumerate(expected) if np.array_equal(e, frame)) for frame in frames]


def test_decord_itself_gives_wrong_frames_where_the_reader_does_not_seek(files):
    indices = [8, 29, 36, 50]
    for name in ('avi', 'open_groups'):
        expected = decode_in_order(files[name])
        batch = decord.VideoReader(str(files[name])).get_batch(indices).asnumpy()
        assert found(batch, expected) != indices  # if this fails, decord got better
        assert found(DecordReader(str(files[name])).read(indices), expected) == indices


def test_it_seeks_where_that_is_exact_and_worth_it(files, monkeypatch):
    def no_batch(self, indices):
        raise AssertionError('sought')

    monkeypatch.setattr(decord.VideoReader, 'get_batch', no_batch)
    with pytest.raises(VideoReadError, match='sought'):
        DecordReader(str(files['mp4'])).read([5, 25, 45])
    DecordReader(str(files['mp4'])).read(range(30))
    DecordReader(str(files['intra'])).read(range(0, 60, 2))


def test_containers_that_decord_misreads_are_refused(tmp_path):
    path = write_frames(tmp_path / 'a.ts', at_rate(25, 30))
    with pytest.raises(VideoReadError, match='decord does not read mpegts reliably'):
        DecordReader(str(path))

import av
import numpy as np
import pytest

from mmclip4clip.datasets.video_readers import NoVideoError
from mmclip4clip.datasets.video_readers.packet_index import PacketIndex
from mmclip4clip.datasets.video_readers.video_streams import open_video

from ...videos import write_no_frames, write_picture, write_sound


def list_packets(path) -> PacketIndex:
    container, stream = open_video(str(path))
    with container:
        return PacketIndex(container, stream)


def test_frames_are_counted_where_the_container_does_not_say(files):
    with av.open(str(files['no_count'])) as container:
        assert container.streams.video[0].frames == 0
    assert list_packets(files['no_count']).num_frames == 60
    assert 20 < list_packets(files['over']).num_frames < 40  # of the 60 that it reports


def test_stamps_are_in_the_order_of_showing_and_keys_are_found(files):
    packets = list_packets(files['mp4'])
    assert packets.reliable and packets.closed
    assert np.array_equal(np.sort(packets.stamps), packets.order)
    assert packets.stamps != sorted(packets.stamps)  # B-frames are decoded late
    assert packets.keys == [0, 10, 20, 30, 40, 50]


def test_open_groups_and_made_up_stamps_are_recognized(files):
    assert list_packets(files['open_groups']).reliable and not list_packets(files['open_groups']).closed
    assert list_packets(files['avi']).reliable
    assert not list_packets(files['avi_b_frames']).reliable
    assert not list_packets(files['avi_mpeg4']).reliable


@pytest.mark.parametrize(
    'write, message',
    [
        (write_sound, 'no video stream'),
        (write_picture, 'it is a picture .png_pipe'),
        (write_no_frames, 'no video stream|no frame'),
    ],
)
def test_files_without_a_video_are_told_apart(tmp_path, write, message):
    with pytest.raises(NoVideoError, match=message):
        list_packets(write(tmp_path / 'a.mp4'))

"""The tables of MP4 files are used only if they list the packets as they are."""

import struct

import av
import numpy as np
import pytest

from mmclip4clip.datasets.video_readers import open_reader, sample_table
from mmclip4clip.datasets.video_readers.mp4_boxes import list_boxes
from mmclip4clip.datasets.video_readers.sample_table import read_sample_table
from mmclip4clip.datasets.video_readers.video_streams import open_video

from ...videos import at_rate, decode_in_order, needs_tables, write_frames

NO_TABLE = ('avi', 'no_count', 'fragments', 'over', 'one')  # one: all samples are of one size


def packets_of(path) -> list[av.Packet]:
    container, stream = open_video(str(path))
    with container:
        return [packet for packet in container.demux(stream) if packet.size]


def table_of(path):
    container, stream = open_video(str(path))
    with container:
        return read_sample_table(str(path), container, stream)


def assert_lists_packets(path) -> None:
    table, packets = table_of(path), packets_of(path)
    assert table.shown.tolist() == [packet.pts for packet in packets]
    assert table.decoded.tolist() == [packet.dts for packet in packets]
    assert set(table.keys.tolist()) <= {i for i, packet in enumerate(packets) if packet.is_keyframe}


@needs_tables
@pytest.mark.parametrize('name', ['mp4', 'ntsc', 'intra', 'uneven', 'turned'])
def test_the_table_lists_the_packets(files, name):
    assert_lists_packets(files[name])


@needs_tables
@pytest.mark.parametrize(
    'codec, options', [('mpeg4', {}), ('libx264', dict(use_editlist='0')), ('libx264', dict(brand='qt  '))]
)
def test_the_table_of_other_codecs_and_flavors_lists_the_packets(tmp_path, codec, options):
    path = write_frames(tmp_path / 'a.mov', at_rate(24, 50), codec=codec, **options)
    assert_lists_packets(path)


@pytest.mark.parametrize('name', NO_TABLE)
def test_without_a_table_of_all_frames_in_the_file_the_packets_decide(files, name):
    assert table_of(files[name]) is None


def change(source, path, box: bytes, offset: int, value: int):
    """Copy a file with another number in a box, ``offset`` bytes after its name."""
    content = bytearray(source.read_bytes())
    place = content.index(box) + 4 + offset
    content[place : place + 4] = struct.pack('>I', value)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    'box, offset, value',
    [
        (b'elst', 8, 500),  # shows the first half of a second of two only
        (b'elst', 12, 40000),  # begins in the middle
        (b'elst', 16, 1 << 17),  # at twice the speed
        (b'stts', 8, 59),  # has one frame less
        (b'stsz', 12, 7),  # the first frame has other bytes
        (b'ctts', 8, 2**31 - 1),
        (b'stco', 8, 4),
        (b'stss', 12, 99),
        (b'stsc', 12, 2**30),
    ],
)
def test_edits_and_damage_are_noticed(files, tmp_path, box, offset, value):
    path = change(files['mp4'], tmp_path / 'a.mp4', box, offset, value)
    table = table_of(path)
    assert table is None or table.shown.tolist() == [packet.pts for packet in packets_of(path)]
    assert box in (b'stsz', b'stco', b'stss') or table is None  # a false place or size is in both


@needs_tables
def test_a_table_of_a_million_frames_is_refused_without_memory_for_them(files, tmp_path):
    for box in (b'stts', b'ctts'):
        path = change(files['mp4'], tmp_path / 'a.mp4', box, 8, 2**31 - 1)
        assert table_of(path) is None
    assert np.array_equal(table_of(files['mp4']).keys, [0, 10, 20, 30, 40, 50])


def test_a_hostile_track_beside_the_video_hides_no_frame(files, tmp_path):
    """A header without content, before the track of the video."""
    content = files['mp4'].read_bytes()
    moov = content.index(b'moov') - 4
    assert content.index(b'mdat') < moov  # so no place in the file changes
    header = struct.pack('>I4sI4s', 16, b'trak', 8, b'tkhd')
    (length,) = struct.unpack_from('>I', content, moov)
    path = tmp_path / 'a.mp4'
    path.write_bytes(
        content[:moov] + struct.pack('>I4s', length + 16, b'moov') + header + content[moov + 8 :]
    )
    with open_reader('pyav', str(path)) as reader, open_reader('pyav', str(files['mp4'])) as plain:
        assert np.array_equal(reader.read([7])[0], plain.read([7])[0])


def test_boxes_without_end_are_not_listed():
    with pytest.raises(ValueError, match='more than 1000 boxes'):
        list(list_boxes(b'\0\0\0\x08free' * 1001))


@pytest.mark.parametrize('b_frames', [0, 2])
@pytest.mark.parametrize('codec', ['mpeg4', 'libx264'])
def test_frames_marked_as_key_frames_that_are_none_are_decoded_from_one(tmp_path, codec, b_frames):
    scene = np.random.default_rng(0).integers(0, 256, (48, 64, 3)).astype(np.uint8)
    path = tmp_path / 'a.mp4'
    with av.open(str(path), 'w') as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, 'yuv420p'
        stream.options = dict(g='12', bf=str(b_frames))
        for number in range(30):  # mostly still, so that a frame needs the one before
            picture = scene.copy()
            picture[number : number + 4] = 255
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
        container.mux(stream.encode())
    content = path.read_bytes()
    path.write_bytes(content.replace(b'stss', b'free'))  # without this table, all are key frames
    expected = decode_in_order(path)
    with open_reader('pyav', str(path)) as reader:
        for number in (7, 25):
            assert np.array_equal(reader.read([number])[0], expected[number])


def test_without_the_list_of_ffmpeg_all_packets_are_read(files, monkeypatch):
    """As with PyAV before version 17."""
    monkeypatch.setattr(sample_table, 'list_of_ffmpeg', lambda stream: [])
    assert table_of(files['mp4']) is None
    with open_reader('pyav', str(files['mp4'])) as reader:
        assert np.array_equal(reader.read([33])[0], decode_in_order(files['mp4'])[33])

"""Read the tables of an MP4 or MOV file, which list its frames, without reading the frames."""

import os
import stat
import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

import av
import numpy as np

from .mp4_boxes import find_box, find_moov, list_boxes, read_number, read_rows

# Codecs of which ffmpeg returns each sample of the file as one packet.
CODECS = ('av1', 'libdav1d', 'h264', 'hevc', 'mpeg4')
CHECKED = 64  # entries to compare with ffmpeg's at the begin, at the end and between
LARGEST_SHIFT = 2**28  # ticks; ffmpeg ignores a table with a larger one


class SampleTable(NamedTuple):
    """The frames of an MP4 file in decoding order.

    Args:
        decoded (np.ndarray): Decoding timestamps in units of the stream, as ffmpeg seeks by, (T,).
        shown (np.ndarray): Presentation timestamps in the same units, (T,).
        keys (np.ndarray): Indices of the key frames, increasing, (K,).

    Examples:
        >>> int(SampleTable(np.arange(3), np.array([0, 2, 1]), np.array([0])).shown.max())
        2
    """

    decoded: np.ndarray
    shown: np.ndarray
    keys: np.ndarray


def read_sample_table(
    filename: str, container: av.container.InputContainer, stream: av.VideoStream
) -> SampleTable | None:
    """Read the sample table of a video stream.

    ffmpeg has the same table in memory, but without the presentation timestamps. The table is used only if
    nothing can make the packets differ from it: all frames are in the file, one edit shows all of them, and
    a part of the entries and the first packet are as ffmpeg has them.

    Args:
        filename (str): The file.
        container (av.container.InputContainer): The same file, just opened.
        stream (av.VideoStream): Its stream. One packet is read.

    Returns:
        SampleTable | None: None if there is no table, or not one that tells which packets there are.

    Raises:
        OSError: If the file cannot be read.
    """
    if not container.format.name.startswith('mov') or stream.codec_context.name not in CODECS:
        return None
    try:
        if not stat.S_ISREG(os.stat(filename).st_mode):  # opening a pipe again would never end
            return None
        with open(filename, 'rb') as file:
            size = os.fstat(file.fileno()).st_size
            moov = find_moov(file, size)
        track = None if moov is None else _find_track(moov, stream)
        return None if track is None else _checked_table(track, size, container, stream)
    except (KeyError, ValueError, struct.error):  # damaged, or not as the standard says
        return None


def list_of_ffmpeg(stream: av.VideoStream) -> Sequence[Any]:
    """Return ffmpeg's own list of the packets of a stream; empty before PyAV 17, which does not show it."""
    return getattr(stream, 'index_entries', [])


class _Track(NamedTuple):
    """Tables of a track, a row per sample."""

    decoded: np.ndarray
    shift: np.ndarray  # from the decoding to the presentation time
    sizes: np.ndarray
    positions: np.ndarray
    keys: np.ndarray


def _find_track(moov: bytes, stream: av.VideoStream) -> _Track | None:
    """Return the tables of a stream's track; None if a table or edit leaves open which frames are shown."""
    kinds = [kind for kind, _ in list_boxes(moov)]
    if 'mvex' in kinds or stream.time_base is None:
        return None
    for kind, trak in list_boxes(moov):
        if kind == 'trak' and read_number(find_box(trak, 'tkhd'), 12, 20) == stream.id:
            break
    else:
        return None
    scale = read_number(find_box(trak, 'mdia/mdhd'), 12, 20)
    if stream.time_base.numerator != 1 or stream.time_base.denominator != scale:
        return None
    track = _read_track(find_box(trak, 'mdia/minf/stbl'))
    shown = track.decoded + track.shift
    movie_scale = read_number(find_box(moov, 'mvhd'), 12, 20)
    has_edits = 'edts' in [kind for kind, _ in list_boxes(trak)]
    if has_edits and not _shows_all(find_box(trak, 'edts/elst'), shown, scale, movie_scale):
        return None
    return track


def _shows_all(elst: bytes, shown: np.ndarray, scale: int, movie_scale: int) -> bool:
    """Return whether a list of edits has one, which contains all frames, perhaps after a pause."""
    count = struct.unpack_from('>I', elst, 4)[0]
    form = '>Qqi' if elst[0] else '>Iii'  # duration in units of the movie, begin in units of the track, rate
    edits = [struct.unpack_from(form, elst, 8 + i * struct.calcsize(form)) for i in range(min(count, 3))]
    pauses = [edit for edit in edits[:-1] if edit[1] == -1]
    if not edits or len(pauses) != len(edits) - 1 or count > 2:
        return False
    duration, begin, rate = edits[-1]
    end = begin + duration * scale / max(1, movie_scale)
    return rate == 1 << 16 and 0 <= begin <= shown.min() and (duration == 0 or end > shown.max())


def _read_track(stbl: bytes) -> _Track:
    """Expand the tables of a track.

    Raises:
        KeyError, ValueError, struct.error: If one is missing, damaged or unusual.
    """
    tables = dict(list_boxes(stbl))
    sizes = _sizes(tables['stsz'])
    count = len(sizes)
    durations = _runs(tables['stts'], count)
    shift = _runs(tables['ctts'], count) if 'ctts' in tables else np.zeros(count, np.int64)
    if (durations[:-1] <= 0).any() or (np.abs(shift) >= LARGEST_SHIFT).any() or (sizes <= 0).any():
        raise ValueError('times or sizes')
    if struct.unpack_from('>I', tables['stsd'], 4)[0] != 1:
        raise ValueError('several formats')
    keys = read_rows(tables['stss'], 1)[:, 0] - 1 if 'stss' in tables else np.arange(count)
    if not len(keys) or keys[0] != 0 or keys[-1] >= count or (np.diff(keys) <= 0).any():
        raise ValueError('key frames')
    decoded = np.concatenate([[0], np.cumsum(durations[:-1])])
    return _Track(decoded, shift, sizes, _positions(tables, sizes), keys)


def _runs(box: bytes, count: int) -> np.ndarray:
    """Expand a table of repeated numbers, (count,)."""
    rows = read_rows(box, 2)
    if (rows[:, 0] < 0).any() or rows[:, 0].sum() != count:
        raise ValueError('number of samples')
    return np.repeat(rows[:, 1], rows[:, 0])


def _sizes(box: bytes) -> np.ndarray:
    if struct.unpack_from('>I', box, 4)[0]:
        raise ValueError('samples of equal size')
    sizes = read_rows(box[4:], 1)[:, 0]
    if not len(sizes):
        raise ValueError('no samples')
    return sizes


def _positions(tables: dict[str, bytes], sizes: np.ndarray) -> np.ndarray:
    """Return the place of each sample in the file in bytes, (T,)."""
    chunks = read_rows(tables['stco'], 1, '>u4') if 'stco' in tables else read_rows(tables['co64'], 1, '>i8')
    runs = read_rows(tables['stsc'], 3)  # first chunk from 1, samples per chunk, format
    if not len(runs) or runs[0, 0] != 1 or (np.diff(runs[:, 0]) <= 0).any() or runs[-1, 0] > len(chunks):
        raise ValueError('chunks')
    per_chunk = np.repeat(runs[:, 1], np.diff(np.append(runs[:, 0], len(chunks) + 1)))
    if (per_chunk <= 0).any() or per_chunk.sum() != len(sizes):
        raise ValueError('samples of the chunks')
    before = np.cumsum(sizes) - sizes
    first = np.cumsum(per_chunk) - per_chunk
    return before + np.repeat(chunks[:, 0] - before[first], per_chunk)


def _checked_table(
    track: _Track, size: int, container: av.container.InputContainer, stream: av.VideoStream
) -> SampleTable | None:
    """Compare a part of the entries and the first packet with ffmpeg's."""
    entries, count = list_of_ffmpeg(stream), len(track.sizes)
    if len(entries) != count or (track.positions > size - track.sizes).any() or track.positions.min() < 0:
        return None
    is_key = np.zeros(count, bool)
    is_key[track.keys] = True
    delay = entries[0].timestamp - int(track.decoded[0])
    spread = np.linspace(0, count - 1, CHECKED).astype(int)
    for i in {*range(min(CHECKED, count)), *spread.tolist(), *range(max(0, count - CHECKED), count)}:
        entry = entries[i]
        found = entry.timestamp - delay, entry.pos, entry.size, entry.is_keyframe, entry.is_discard
        if found != (track.decoded[i], track.positions[i], track.sizes[i], is_key[i], False):
            return None
    packet = next(iter(container.demux(stream)))
    if packet.pts is None or packet.pos != track.positions[0] or packet.size != track.sizes[0]:
        return None
    shown = track.decoded + track.shift
    return SampleTable(track.decoded + delay, shown + (packet.pts - int(shown[0])), track.keys)

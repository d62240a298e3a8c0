"""Find the packets that the requested frames need, and read them with seeks."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence

import av
import numpy as np

from . import packet_index
from .packet_index import PacketIndex, demux


class FalseIndexError(Exception):
    """The packets of a file are not those of its index.

    Examples:
        >>> issubclass(FalseIndexError, Exception)
        True
    """


def plan_spans(
    stamps: Sequence[int | None] | np.ndarray, keys: Sequence[int], wanted: Iterable[int]
) -> list[list[int]]:
    """Find the packets to decode for the requested frames.

    Args:
        stamps (Sequence[int | None] | np.ndarray): Presentation timestamp of the frame of each packet.
        keys (Sequence[int]): Indices of the packets with key frames, increasing.
        wanted (Iterable[int]): Timestamps of the requested frames.

    Returns:
        list[list[int]]: First and last packet of each span to decode, increasing and disjoint. A span starts
        with a key frame that is shown no later than its first requested frame, which therefore depends on
        no earlier packet.

    Examples:
        >>> plan_spans([0, 1, 2, 3, 4], [0, 3], [1, 4])
        [[0, 1], [3, 4]]
    """
    wanted = set(wanted)
    if isinstance(stamps, np.ndarray):
        places = {int(stamps[number]): int(number) for number in np.flatnonzero(np.isin(stamps, [*wanted]))}
    else:
        places = {stamp: number for number, stamp in enumerate(stamps) if stamp in wanted}
    spans: list[list[int]] = []
    pairs = sorted((_key_before(stamps, keys, stamp, places[stamp]), places[stamp]) for stamp in wanted)
    for first, last in pairs:
        if spans and first <= spans[-1][1] + 1:
            spans[-1][1] = max(spans[-1][1], last)
        else:
            spans.append([first, last])
    return spans


def _key_before(
    stamps: Sequence[int | None] | np.ndarray, keys: Sequence[int], stamp: int, place: int
) -> int:
    for number in range(bisect_right(keys, place) - 1, -1, -1):
        shown = stamps[keys[number]]
        if shown is not None and shown <= stamp:
            return keys[number]
    return 0


def seek_spans(
    container: av.container.InputContainer, stream: av.VideoStream, index: PacketIndex, wanted: Iterable[int]
) -> Iterator[list[tuple[int, av.Packet]]]:
    """Read the packets of the spans that :func:`plan_spans` finds, and not the rest of the file.

    The spans are the same as with the packets of the whole file: a table of a file may know fewer key frames
    than its packets are marked with. So each span is read from a key frame of the index on, and begins with
    the last packet that is marked as one.

    Args:
        container (av.container.InputContainer): The file.
        stream (av.VideoStream): Its stream.
        index (PacketIndex): Index with ``seek_times``.
        wanted (Iterable[int]): Timestamps of the requested frames.

    Yields:
        list[tuple[int, av.Packet]]: The packets of a span with their numbers.

    Raises:
        FalseIndexError: If a packet is not as in the index, or a span is too long for the memory limit.
    """
    wanted = set(wanted)
    for first, last in plan_spans(index.stamps, index.keys, wanted):
        packets = _read_span(container, stream, index, first, last)
        stamps = [*index.stamps[first : last + 1]]
        keys = [number - first for number, packet in packets.items() if packet.is_keyframe]
        shown = wanted.intersection(stamps)
        begin = plan_spans(stamps, keys, [min(shown)])[0][0]
        key_shown = stamps[begin] if begin in keys else None
        if first + begin > 0 and (key_shown is None or key_shown > min(shown)):
            raise FalseIndexError(f'packet {first} is no key frame')
        for begin, end in plan_spans(stamps, keys, shown):
            yield [(number, packets[number]) for number in range(first + begin, first + end + 1)]


def _read_span(
    container: av.container.InputContainer, stream: av.VideoStream, index: PacketIndex, first: int, last: int
) -> dict[int, av.Packet]:
    """Seek to a key frame and read the packets from it to the last one."""
    if first not in index.seek_times:
        raise FalseIndexError(f'packet {first} is no key frame')
    try:
        container.seek(index.seek_times[first], stream=stream)
    except av.error.FFmpegError as error:  # errors of the storage are not of this class
        raise FalseIndexError(f'packet {first} cannot be found') from error
    packets: dict[int, av.Packet] = {}
    number, size = -1, 0
    for packet in demux(container, stream):
        if number < 0:  # a seek may find an earlier key frame
            number = next((i for i in range(first, -1, -1) if index.stamps[i] == packet.pts), last + 1)
        else:
            number += 1
        if number > (last if packets else first) or index.stamps[number] != packet.pts or packet.is_discard:
            raise FalseIndexError(f'packet {number} has another timestamp than in the index')
        if number >= first:
            packets[number] = packet
            size += packet.size
        if size > packet_index.MAX_PACKET_BYTES:
            raise FalseIndexError(f'the packets from {first} to {last} are larger than the memory limit')
        if number == last:
            return packets
    raise FalseIndexError(f'the file ends before packet {last}')

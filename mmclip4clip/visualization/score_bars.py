"""Bars of the scores of frames, with the words that fit each frame best."""

import textwrap
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, NamedTuple

from .moments import format_time

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..search.answers import Reasons

BLOCKS = '▁▂▃▄▅▆▇█'
BAR, BEST = '#9db8d9', '#1f5fa8'
BARS_HEIGHT, LINE, LETTER = 44, 14, 6.2  # pixels, under a strip of at most PAGE_WIDTH
PAGE_WIDTH = 840
MOST_LABELS = 12  # frames whose times and scores find a place
FEW_COLUMNS = 8  # of words under more frames
SMALLEST = 0.05  # of the height, so that the lowest bar is seen


def score_range(reasons: Sequence['Reasons | None']) -> tuple[float, float]:
    """Return the lowest and the highest score of a frame, so that bars of all answers have one scale.

    Examples:
        >>> from mmclip4clip.search import FrameScore, Reasons
        >>> score_range([Reasons(0.3, [FrameScore(0, 0.2, None), FrameScore(1, 0.4, None)], None), None])
        (0.2, 0.4)
    """
    scores = [frame.score for found in reasons if found is not None for frame in found.frames]
    return (min(scores), max(scores)) if scores else (0.0, 0.0)


def bar_heights(reasons: 'Reasons', limits: tuple[float, float]) -> list[float]:
    """Return the height of the bar of each frame from 0 for the lowest score to 1 for the highest one."""
    low, high = limits
    return [(frame.score - low) / (high - low) if high > low else 0.5 for frame in reasons.frames]


def describe_reasons(reasons: 'Reasons', limits: tuple[float, float]) -> str:
    """Return a line with a bar per frame, the best frame, and the best frame of each word.

    Examples:
        >>> from mmclip4clip.search import FrameScore, Reasons, WordMatch
        >>> frames = [FrameScore(0, 0.2, 0.5), FrameScore(62.5, 0.4, 0.5)]
        >>> describe_reasons(Reasons(0.3, frames, [WordMatch('dog', 1, 0.4, 1.0)]), (0.2, 0.4))
        '▁█ best 1:02.5 (0.400); dog 1:02.5'
    """
    blocks = ''.join(BLOCKS[round(height * (len(BLOCKS) - 1))] for height in bar_heights(reasons, limits))
    line = f'{blocks} best {format_time(reasons.best.time)} ({reasons.best.score:.3f})'
    words = [f'{word.word} {format_time(reasons.frames[word.frame].time)}' for word in reasons.words or ()]
    return '; '.join([line, ', '.join(words)]) if words else line


def shown_frames(reasons: 'Reasons', most: int) -> list[int]:
    """Choose frames to show over the bars: the best one of each of ``most`` equal parts.

    Examples:
        >>> from mmclip4clip.search import FrameScore, Reasons
        >>> shown_frames(Reasons(0, [FrameScore(i, i % 2, None) for i in range(6)], None), 3)
        [1, 3, 5]
    """
    count = len(reasons.frames)
    parts = min(count, most)
    edges = [round(part * count / parts) for part in range(parts + 1)]
    return [
        max(range(*span), key=lambda place: reasons.frames[place].score) for span in zip(edges, edges[1:])
    ]


class Label(NamedTuple):
    """A text under the bars.

    Args:
        center (float): Pixels from the left.
        line (int): Number of its line, from 0.
        text (str): The text.
        is_time (bool): Whether it is the time of a frame.

    Examples:
        >>> Label(48.0, 0, '0:01.5', True).line
        0
    """

    center: float
    line: int
    text: str
    is_time: bool = False


def place_labels(reasons: 'Reasons', width: int) -> list[Label]:
    """Place the times and scores of frames, and the words under their best frames.

    Of more than 12 frames, every so many have a time and none a score, and words stand under the part of the
    strip that has their best frame.
    """
    count = len(reasons.frames)
    step, every = width / count, -(-count // MOST_LABELS)
    labels = []
    for place, frame in enumerate(reasons.frames[::every]):
        center = (place * every + 0.5) * step
        labels.append(Label(center, 0, format_time(frame.time), True))
        if every == 1:
            labels.append(Label(center, 1, f'{frame.score:.3f}'))
    columns = count if every == 1 else FEW_COLUMNS
    words: list[list[str]] = [[] for _ in range(columns)]
    for word in reasons.words or ():
        words[word.frame * columns // count].append(word.word)
    letters = max(6, int(width / columns / (LETTER * unit(width))))
    for column, found in enumerate(words):
        lines = textwrap.wrap(' '.join(found), letters, break_long_words=False)
        for number, line in enumerate(lines, 2 if every == 1 else 1):
            labels.append(Label((column + 0.5) * width / columns, number, line))
    return labels


def unit(width: int) -> float:
    """Return the factor of the sizes under a strip of so many pixels, which is shown in a page's width."""
    return max(1.0, width / PAGE_WIDTH)


def bars_height(reasons: 'Reasons', width: int) -> float:
    """Return the pixels that bars, times and words take under a strip."""
    lines = 1 + max(label.line for label in place_labels(reasons, width))
    return unit(width) * (BARS_HEIGHT + LINE * lines)


def bar_boxes(
    reasons: 'Reasons', width: int, limits: tuple[float, float]
) -> list[tuple[float, float, float, str]]:
    """Return center, width, height and color of the bar of each frame, in pixels."""
    best, step = max(frame.score for frame in reasons.frames), width / len(reasons.frames)
    full = unit(width) * (BARS_HEIGHT - 4)
    return [
        (
            (place + 0.5) * step,
            0.8 * step,
            full * (SMALLEST + (1 - SMALLEST) * height),
            BEST if frame.score == best else BAR,
        )
        for place, (frame, height) in enumerate(zip(reasons.frames, bar_heights(reasons, limits)))
    ]


def draw_bars(axis: 'Axes', reasons: 'Reasons', size: tuple[int, int], limits: tuple[float, float]) -> None:
    """Draw bars, times and words under the picture of an axis.

    Args:
        axis (Axes): Axis that shows the strip of frames.
        reasons (Reasons): The scores.
        size (tuple[int, int]): Height and width of the strip in pixels.
        limits (tuple[float, float]): Output of :func:`score_range`.
    """
    top, width = size
    bottom = top + unit(width) * BARS_HEIGHT
    axis.set(xlim=(0, width), ylim=(top + bars_height(reasons, width), 0), xticks=[], yticks=[])
    for center, wide, high, color in bar_boxes(reasons, width, limits):
        axis.bar(center, -high, wide, bottom, color=color)
    for label in place_labels(reasons, width):
        axis.text(
            label.center,
            bottom + unit(width) * LINE * (label.line + 0.5),
            label.text,
            fontsize=5.5,
            ha='center',
            va='center',
            parse_math=False,
            color='#555555' if label.is_time else 'black',
        )


def bars_svg(reasons: 'Reasons', width: int, limits: tuple[float, float]) -> str:
    """Return bars, times and words as SVG of the width of the strip above it; a pointer shows the values."""
    size, height = unit(width), bars_height(reasons, width)
    bottom, parts = size * BARS_HEIGHT, []
    for frame, (center, wide, high, color) in zip(reasons.frames, bar_boxes(reasons, width, limits)):
        weight = '' if frame.weight is None else f', weight {frame.weight:.3f}'
        parts.append(
            f'<rect x="{center - wide / 2:.1f}" y="{bottom - high:.1f}" width="{wide:.1f}" '
            f'height="{high:.1f}" fill="{color}"><title>{format_time(frame.time)}: score {frame.score:.4f}'
            f'{weight}</title></rect>'
        )
    parts += [
        f'<text x="{label.center:.1f}" y="{bottom + size * LINE * (label.line + 0.8):.1f}" '
        f'fill="{"#555" if label.is_time else "#000"}">{escape(label.text)}</text>'
        for label in place_labels(reasons, width)
    ]
    spoken = escape(f'scores of frames: {describe_reasons(reasons, limits)}')
    return (
        f'<svg class="why" role="img" aria-label="{spoken}" width="{width}" viewBox="0 0 {width} '
        f'{height:.0f}" font-size="{11 * size:.1f}" text-anchor="middle">{"".join(parts)}</svg>'
    )

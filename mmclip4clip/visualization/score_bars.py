"""Bars of the scores of frames, with the words that fit each frame best."""

import textwrap
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from .moments import format_time

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..search.answers import Reasons

BLOCKS = '▁▂▃▄▅▆▇█'
BAR, BEST = '#9db8d9', '#1f5fa8'
BARS_HEIGHT, LINE, LETTER = 44, 14, 6.2  # pixels, under strips of 96 pixels
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


def word_lines(reasons: 'Reasons', width: float) -> list[list[str]]:
    """Return the lines of words under each frame, for a strip of so many pixels."""
    letters = max(6, int(width / len(reasons.frames) / LETTER))
    words: list[list[str]] = [[] for _ in reasons.frames]
    for word in reasons.words or ():
        words[word.frame].append(word.word)
    return [textwrap.wrap(' '.join(found), letters, break_long_words=False) for found in words]


def bars_height(reasons: 'Reasons', width: float) -> int:
    """Return the pixels that bars, times and words take under a strip."""
    return BARS_HEIGHT + LINE * (1 + max(len(lines) for lines in word_lines(reasons, width)))


def draw_bars(axis: 'Axes', reasons: 'Reasons', size: tuple[int, int], limits: tuple[float, float]) -> None:
    """Draw bars, times and words under the picture of an axis.

    Args:
        axis (Axes): Axis that shows the strip of frames.
        reasons (Reasons): The scores.
        size (tuple[int, int]): Height and width of the strip in pixels.
        limits (tuple[float, float]): Output of :func:`score_range`.
    """
    (top, width), count = size, len(reasons.frames)
    bottom, step = top + BARS_HEIGHT, width / count
    axis.set(xlim=(0, width), ylim=(top + bars_height(reasons, width), 0), xticks=[], yticks=[])
    best = max(frame.score for frame in reasons.frames)
    for place, (frame, height, lines) in enumerate(
        zip(reasons.frames, bar_heights(reasons, limits), word_lines(reasons, width))
    ):
        length = (BARS_HEIGHT - 4) * (SMALLEST + (1 - SMALLEST) * height)
        color = BEST if frame.score == best else BAR
        axis.bar((place + 0.5) * step, -length, 0.8 * step, bottom, color=color)
        texts = [format_time(frame.time) if _has_label(place, count) else '', *lines]
        if count <= 12:
            axis.text((place + 0.5) * step, bottom - 2, f'{frame.score:.3f}', fontsize=5, ha='center')
        for number, text in enumerate(texts):
            center = bottom + LINE * (number + 0.5)
            axis.text(
                (place + 0.5) * step,
                center,
                text,
                fontsize=5.5,
                ha='center',
                va='center',
                parse_math=False,
                color='#555555' if number == 0 else 'black',
            )


def bars_svg(reasons: 'Reasons', width: int, limits: tuple[float, float]) -> str:
    """Return bars, times and words as SVG of the width of the strip above it; a pointer shows the values."""
    count, height = len(reasons.frames), bars_height(reasons, width)
    step, best = width / count, max(frame.score for frame in reasons.frames)
    parts = []
    for place, (frame, share, lines) in enumerate(
        zip(reasons.frames, bar_heights(reasons, limits), word_lines(reasons, width))
    ):
        length = (BARS_HEIGHT - 4) * (SMALLEST + (1 - SMALLEST) * share)
        center, color = (place + 0.5) * step, BEST if frame.score == best else BAR
        weight = '' if frame.weight is None else f', weight {frame.weight:.3f}'
        parts.append(
            f'<rect x="{center - 0.4 * step:.1f}" y="{BARS_HEIGHT - length:.1f}" width="{0.8 * step:.1f}" '
            f'height="{length:.1f}" fill="{color}"><title>{format_time(frame.time)}: score '
            f'{frame.score:.4f}{weight}</title></rect>'
        )
        texts = [format_time(frame.time) if _has_label(place, count) else '', *lines]
        parts += [
            f'<text x="{center:.1f}" y="{BARS_HEIGHT + LINE * (number + 0.8):.1f}" '
            f'fill="{"#555" if number == 0 else "#000"}">{escape(text)}</text>'
            for number, text in enumerate(texts)
            if text
        ]
    label = escape(f'scores of frames: {describe_reasons(reasons, limits)}')
    return (
        f'<svg class="why" role="img" aria-label="{label}" width="{width}" viewBox="0 0 {width} {height}" '
        f'font-size="11" text-anchor="middle">{"".join(parts)}</svg>'
    )


def _has_label(place: int, count: int) -> bool:
    """Return whether the time is written under a frame: under each, or every so many of a long strip."""
    return place % max(1, -(-count // 12)) == 0

"""Moments of videos as people write them."""

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..search.answers import Answer


def describe_moment(answer: 'Answer') -> str:
    """Return start and end of a moment as people write them; ``'whole'`` for a whole video.

    Examples:
        >>> from mmclip4clip.search import Answer
        >>> describe_moment(Answer(0.3, '/v.mp4', 62.5, 72.5, 80.0))
        '1:02.5-1:12.5'
    """
    if answer.start is None and answer.end is None:
        return 'whole'
    end = answer.duration if answer.end is None else answer.end
    if math.isnan(end):
        return f'{format_time(answer.start or 0)}-'
    return f'{format_time(answer.start or 0)}-{format_time(end)}'


def format_time(seconds: float) -> str:
    """Return a time to the tenth of a second, without zeros at its end.

    Examples:
        >>> format_time(59.96), format_time(3605.25)
        ('1:00', '1:00:05.2')
    """
    minutes, tenths = divmod(round(seconds * 10), 600)
    hours, minutes = divmod(minutes, 60)
    shown = f'{hours}:{minutes:02}' if hours else f'{minutes}'
    return f'{shown}:{tenths // 10:02}' + (f'.{tenths % 10}' if tenths % 10 else '')

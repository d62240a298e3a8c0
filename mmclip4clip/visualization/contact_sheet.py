"""Show the answers of a search by frames of their moments, as a picture or a web page."""

import os
import textwrap
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from .captions import STYLE, embed_picture
from .gallery import RIGHT, WRONG, draw_strip, read_strip, shorten_name
from .moments import describe_moment, format_time

if TYPE_CHECKING:
    from ..search.answers import Answer

MAX_PICTURE = 100  # answers in a PNG; a web page has all
NUM_FRAMES = 5


def write_contact_sheet(path: str | Path, answers: Sequence['Answer'], title: str) -> None:
    """Write frames, score, file and moment of each answer.

    A web page is one file with all pictures in it. Its links play a video from the start of the moment, in
    browsers on the machine that has the videos.

    Args:
        path (str | Path): The picture (.png) or web page (.html) to write.
        answers (Sequence[Answer]): The answers, best first.
        title (str): Heading, such as the query.

    Raises:
        ValueError: If the file has another ending.
        OSError: If it cannot be written.

    Examples:
        >>> import tempfile
        >>> from mmclip4clip.search import Answer
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     page = Path(folder, 'sheet.html')
        ...     write_contact_sheet(page, [Answer(0.31, '/gone.mp4', 62.5, 72.5, 80.0)], 'a dog')
        ...     '#t=62.5,72.5' in page.read_text(), 'does not exist' in page.read_text()
        (True, True)
    """
    ending, title = Path(path).suffix.lower(), printable(title)
    if ending in ('.html', '.htm'):
        Path(path).write_text(_page(answers, escape(title)), encoding='utf-8')
    elif ending == '.png':
        _draw(Path(path), answers, title)
    else:
        raise ValueError(f'a contact sheet ends in .png or .html, got {path}')


def _page(answers: Sequence['Answer'], title: str) -> str:
    sections = '\n'.join(_section(number, answer) for number, answer in enumerate(answers, 1))
    return (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{title}</title>\n'
        f'<style>{STYLE}</style>\n<h1>{title}</h1>\n{sections or "<p>no answers</p>"}\n</html>\n'
    )


def _section(number: int, answer: 'Answer') -> str:
    strip, fault = read_moment(answer)
    name, moment = escape(printable(answer.filename)), describe_moment(answer)
    link = escape(link_to(answer))
    picture = (
        f'<p class="bad">{fault}</p>' if strip is None else embed_picture(strip, f'frames of answer {number}')
    )
    return (
        f'<section>\n<a href="{link}">{picture}</a>\n<p class="generated">{number}. '
        f'<a href="{link}">{escape(printable(Path(answer.filename).name))}</a>, {moment}</p>\n'
        f'<small>score {answer.score:.3f} · {name} · {format_time(answer.duration)} long</small>\n</section>'
    )


def _draw(path: Path, answers: Sequence['Answer'], title: str) -> None:
    shown = answers[:MAX_PICTURE]
    columns = 1 if len(shown) <= 3 else 2
    rows = max(1, -(-len(shown) // columns))
    figure = Figure(figsize=(6.4 * columns, 1.5 * rows + 0.6), dpi=100)
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False).flatten()
    for axis in axes:
        axis.set(xticks=[], yticks=[])
    for number, (axis, answer) in enumerate(zip(axes, shown), 1):
        strip, fault = read_moment(answer)
        name = shorten_name(printable(Path(answer.filename).name), 60)
        heading = f'{number}. {name}, {describe_moment(answer)}, score {answer.score:.3f}'
        draw_strip(axis, strip, heading, RIGHT if number == 1 else WRONG, fault)
    for axis in axes[len(shown) :]:
        axis.axis('off')
    title = textwrap.shorten(title, 80 * columns, placeholder=' …')
    if len(answers) > len(shown):
        title = f'{title} (the first {len(shown)} of {len(answers)} answers)'
    figure.suptitle(title if shown else f'{title}: no answers', fontsize=11, parse_math=False)
    figure.tight_layout()
    canvas.print_figure(str(path), format='png')


def read_moment(answer: 'Answer') -> tuple[np.ndarray | None, str]:
    """Read frames of the moment of an answer, (96, W, 3) uint8; or None and the reason why there are none."""
    if not os.path.isfile(answer.filename):
        return None, 'the file does not exist any more'
    strip = read_strip(answer.filename, (answer.start, answer.end), NUM_FRAMES)
    return strip, '' if strip is not None else 'cannot be read'


def link_to(answer: 'Answer') -> str:
    """Return the address of a file, with the moment as a media fragment: players start there.

    Examples:
        >>> from mmclip4clip.search import Answer
        >>> link_to(Answer(0.3, '/videos/a dog #1.mp4', 62.5, 72.5, 80.0))
        'file:///videos/a%20dog%20%231.mp4#t=62.5,72.5'
    """
    address = Path(answer.filename).absolute().as_uri()
    if answer.start is None and answer.end is None:
        return address
    start, end = (
        '' if time is None else f'{time:.3f}'.rstrip('0').rstrip('.')
        for time in (answer.start or 0, answer.end)
    )
    return f'{address}#t={start}' + (f',{end}' if end else '')


def printable(text: str) -> str:
    """Return a text that any file can have, also from a file name that is no text."""
    return os.fsencode(text).decode('utf-8', 'replace')

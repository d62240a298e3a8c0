"""Generated captions beside pictures of what they are of."""

import base64
import textwrap
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from ..evaluation.records import VideoRecord

STYLE = """body { font: 16px/1.4 sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em }
section { border-top: 1px solid #ccc; padding: 1em 0 } img { max-width: 100% }
ul { margin: .3em 0; color: #555 }
small { color: #555 } .generated { font-size: 1.15em; margin: .3em 0 } .bad { color: #a00 }"""


def write_caption_page(
    path: Path,
    records: Sequence['VideoRecord'],
    strips: Sequence[np.ndarray | None],
    notes: Sequence[str],
    title: str,
    figures: str = '',
) -> None:
    """Write a web page of one file: frames, generated caption and references of some videos.

    Args:
        path (Path): The page to write.
        records (Sequence[VideoRecord]): Videos, with ``generated`` and ``cider``.
        strips (Sequence[np.ndarray | None]): The frames of each, see :func:`read_strip`;
            None says that they cannot be read.
        notes (Sequence[str]): A word on each, such as its rank.
        title (str): Heading.
        figures (str): A line or a table to show under it, as it is.
    """
    parts = [
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>\n'
        f'<style>{STYLE}</style>\n<h1>{escape(title)}</h1>\n<pre>{escape(figures)}</pre>'
    ]
    parts += [_section(*shown) for shown in zip(records, strips, notes)]
    path.write_text('\n'.join(parts) + '\n</html>\n', encoding='utf-8')


def _section(record: 'VideoRecord', strip: np.ndarray | None, note: str) -> str:
    references = ''.join(f'<li>{escape(caption)}</li>' for caption in record.captions)
    return (
        f'<section>\n{_image(record, strip)}\n<p class="generated">'
        f'{escape(record.generated or "") or "<span class=bad>no caption</span>"}</p>\n'
        f'<small>{escape(describe(record, note))}</small>\n<ul>{references}</ul>\n</section>'
    )


def _image(record: 'VideoRecord', strip: np.ndarray | None) -> str:
    if strip is None:
        return f'<p class="bad">cannot be read {escape(record.unreadable or "")}</p>'
    jpeg = base64.b64encode(cv2.imencode('.jpg', strip[..., ::-1])[1].tobytes()).decode()
    return f'<img alt="frames of {escape(record.video_id)}" src="data:image/jpeg;base64,{jpeg}">'


def describe(record: 'VideoRecord', note: str) -> str:
    """Say in one line which video it is and how its caption scores."""
    return f'{record.video_id} · CIDEr {record.cider:.1f} · {note}'


def draw_captions(
    path: Path,
    records: Sequence['VideoRecord'],
    strips: Sequence[np.ndarray | None],
    notes: Sequence[str],
    title: str,
    references: int = 3,
) -> None:
    """Draw the same videos with their captions into one PNG, for where a page cannot be shown.

    Args:
        path (Path): The picture to write.
        records (Sequence[VideoRecord]): As for :func:`write_caption_page`.
        strips (Sequence[np.ndarray | None]): As for :func:`write_caption_page`.
        notes (Sequence[str]): As for :func:`write_caption_page`.
        title (str): Heading.
        references (int): References to show a video.
    """
    figure = Figure(figsize=(11, 1.25 * len(records) + 0.6), dpi=100)
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots(len(records), 2, squeeze=False, gridspec_kw=dict(width_ratios=(5, 6)))
    for (frames, text), record, strip, note in zip(axes, records, strips, notes):
        frames.axis('off')
        text.axis('off')
        if strip is None:
            frames.text(0.5, 0.5, 'cannot be read', ha='center', va='center')
        else:
            frames.imshow(strip)
            frames.set_anchor('N')
        generated = textwrap.shorten(record.generated or '', 130, placeholder=' …') or '(no caption)'
        lines = textwrap.wrap(generated, 68)
        text.text(0, 1, '\n'.join(lines), va='top', fontsize=10, weight='bold', parse_math=False)
        text.text(
            0,
            0.96 - 0.19 * len(lines),
            '\n'.join(_lines(record, note, references)),
            va='top',
            fontsize=8,
            color='#444444',
            parse_math=False,
        )  # a $ is a $
    figure.suptitle(title, fontsize=11)
    figure.tight_layout()
    canvas.print_figure(str(path))


def _lines(record: 'VideoRecord', note: str, references: int) -> list[str]:
    """Give the score of a video and the first of its references, a line each."""
    shown = [
        f'“{textwrap.shorten(caption, 84, placeholder=" …")}”' for caption in record.captions[:references]
    ]
    return [textwrap.shorten(describe(record, note), 90, placeholder=' …'), *shown]

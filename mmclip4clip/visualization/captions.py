"""Show generated captions together with frames of their videos."""

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
    """Write a self-contained web page with frames, generated caption and references of each video.

    Args:
        path (Path): Path of the page.
        records (Sequence[VideoRecord]): Videos with ``generated`` and ``cider``.
        strips (Sequence[np.ndarray | None]): Frames of each video, see :func:`read_strip`; None for
            unreadable videos.
        notes (Sequence[str]): Short note on each video, such as its rank.
        title (str): Heading.
        figures (str): Plain text below the heading, such as a table.

    Examples:
        >>> import tempfile
        >>> from mmclip4clip.evaluation import VideoRecord
        >>> record = VideoRecord('v1', 'v1.mp4', ['a cat'], generated='a dog', cider=12.0)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     page = Path(folder, 'captions.html')
        ...     write_caption_page(page, [record], [np.zeros((96, 96, 3), np.uint8)], ['rank 1'], 'Test')
        ...     '<p class="generated">a dog</p>' in page.read_text()
        True
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
    return embed_picture(strip, f'frames of {record.video_id}')


def embed_picture(picture: np.ndarray, text: str) -> str:
    """Return a picture, (H, W, 3) uint8 in RGB, as HTML that needs no file, with a text in its place."""
    jpeg = base64.b64encode(cv2.imencode('.jpg', picture[..., ::-1])[1].tobytes()).decode()
    return f'<img alt="{escape(text)}" src="data:image/jpeg;base64,{jpeg}">'


def describe(record: 'VideoRecord', note: str) -> str:
    """Return one line with the id of a video and the score of its caption."""
    return f'{record.video_id} · CIDEr {record.cider:.1f} · {note}'


def draw_captions(
    path: Path,
    records: Sequence['VideoRecord'],
    strips: Sequence[np.ndarray | None],
    notes: Sequence[str],
    title: str,
    references: int = 3,
) -> None:
    """Draw videos with their captions into one PNG, as an alternative to the web page.

    Args:
        path (Path): Path of the picture.
        records (Sequence[VideoRecord]): See :func:`write_caption_page`.
        strips (Sequence[np.ndarray | None]): See :func:`write_caption_page`.
        notes (Sequence[str]): See :func:`write_caption_page`.
        title (str): Heading.
        references (int): Number of references per video.

    Examples:
        >>> import tempfile
        >>> from mmclip4clip.evaluation import VideoRecord
        >>> record = VideoRecord('v1', 'v1.mp4', ['a cat'], generated='a dog', cider=12.0)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, 'captions.png')
        ...     draw_captions(path, [record], [np.zeros((96, 96, 3), np.uint8)], ['rank 1'], 'Test')
        ...     path.stat().st_size > 0
        True
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
    """Return lines with the score of a video and its first references."""
    shown = [
        f'“{textwrap.shorten(caption, 84, placeholder=" …")}”' for caption in record.captions[:references]
    ]
    return [textwrap.shorten(describe(record, note), 90, placeholder=' …'), *shown]

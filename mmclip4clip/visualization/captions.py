"""Generated captions beside pictures of what they are of."""

import base64
import textwrap
from collections.abc import Sequence
from html import escape
from pathlib import Path

import cv2
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

STYLE = """body { font: 16px/1.4 sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em }
section { border-top: 1px solid #ccc; padding: 1em 0 } img { max-width: 100% }
ul { margin: .3em 0; color: #555 }
small { color: #555 } .generated { font-size: 1.15em; margin: .3em 0 } .bad { color: #a00 }"""


def write_caption_page(
    path: Path, records: Sequence[dict], strips: Sequence[np.ndarray | None], title: str, figures: str = ''
) -> None:
    """Write a web page of one file: frames, generated caption and references of some videos.

    Args:
        path (Path): The page to write.
        records (Sequence[dict]): Videos as :class:`VideoCaptionMetric` keeps them, each
            also with a ``note`` such as its rank.
        strips (Sequence[np.ndarray | None]): The frames of each, see :func:`read_strip`;
            None says that they cannot be read.
        title (str): Heading.
        figures (str): A line or a table to show under it, as it is.
    """
    parts = [
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>\n'
        f'<style>{STYLE}</style>\n<h1>{escape(title)}</h1>\n<pre>{escape(figures)}</pre>'
    ]
    parts += [_section(record, strip) for record, strip in zip(records, strips)]
    path.write_text('\n'.join(parts) + '\n</html>\n', encoding='utf-8')


def _section(record: dict, strip: np.ndarray | None) -> str:
    references = ''.join(f'<li>{escape(caption)}</li>' for caption in record['captions'])
    return (
        f'<section>\n{_image(record, strip)}\n<p class="generated">'
        f'{escape(record["generated"]) or "<span class=bad>no caption</span>"}</p>\n'
        f'<small>{escape(describe(record))}</small>\n<ul>{references}</ul>\n</section>'
    )


def _image(record: dict, strip: np.ndarray | None) -> str:
    if strip is None:
        return f'<p class="bad">cannot be read {escape(record.get("unreadable", ""))}</p>'
    jpeg = base64.b64encode(cv2.imencode('.jpg', strip[..., ::-1])[1]).decode()
    return f'<img alt="frames of {escape(record["video_id"])}" src="data:image/jpeg;base64,{jpeg}">'


def describe(record: dict) -> str:
    """Say in one line which video it is and how its caption scores."""
    return f'{record["video_id"]} · CIDEr {record["cider"]:.1f} · {record["note"]}'


def draw_captions(
    path: Path, records: Sequence[dict], strips: Sequence[np.ndarray | None], title: str, references: int = 3
) -> None:
    """Draw the same videos with their captions into one PNG, for where a page cannot be shown.

    Args:
        path (Path): The picture to write.
        records (Sequence[dict]): As for :func:`write_caption_page`.
        strips (Sequence[np.ndarray | None]): As for :func:`write_caption_page`.
        title (str): Heading.
        references (int): References to show a video.
    """
    figure = Figure(figsize=(11, 1.25 * len(records) + 0.6), dpi=100)
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots(len(records), 2, squeeze=False, gridspec_kw=dict(width_ratios=(5, 6)))
    for (frames, text), record, strip in zip(axes, records, strips):
        frames.axis('off')
        text.axis('off')
        if strip is None:
            frames.text(0.5, 0.5, 'cannot be read', ha='center', va='center')
        else:
            frames.imshow(strip)
            frames.set_anchor('N')
        generated = textwrap.shorten(record['generated'], 130, placeholder=' …') or '(no caption)'
        lines = textwrap.wrap(generated, 68)
        text.text(0, 1, '\n'.join(lines), va='top', fontsize=10, weight='bold', parse_math=False)
        text.text(
            0,
            0.96 - 0.19 * len(lines),
            '\n'.join(_lines(record, references)),
            va='top',
            fontsize=8,
            color='#444444',
            parse_math=False,
        )  # a $ is a $
    figure.suptitle(title, fontsize=11)
    figure.tight_layout()
    canvas.print_figure(str(path))


def _lines(record: dict, references: int) -> list[str]:
    """Give the score of a video and the first of its references, a line each."""
    shown = [
        f'“{textwrap.shorten(caption, 84, placeholder=" …")}”' for caption in record['captions'][:references]
    ]
    return [textwrap.shorten(describe(record), 90, placeholder=' …'), *shown]

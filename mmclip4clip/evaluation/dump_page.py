"""A page about the results of a test: figures, heat map, ranks, recalls, and the worst answers."""

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path

from ..visualization.captions import STYLE, embed_picture
from ..visualization.gallery import read_strip, video_name
from ..visualization.retrieval_figures import as_png, rank_bars, recall_lines, similarity_map
from .functional import rank_histogram, ranks_of_captions, ranks_of_videos, recall_curve
from .metric_table import format_table
from .metrics.retrieval import retrieval_figures
from .records import VideoRecord, stack_scores
from .unreadable import count_unreadable
from .wrong_answers import WrongAnswer, find_wrong_answers

CAPTIONS = 3  # of each wrong video


def write_dump_page(
    folder: str | Path,
    records: Sequence[VideoRecord],
    title: str = 'Test',
    count: int = 20,
    v2t_protocol: str = 'caption_groups',
    lower_median: bool = False,
    frames: bool = False,
) -> Path:
    """Write ``report.html``, one file with all pictures in it, and the pictures as PNG files.

    The pictures are ``similarity.png``, ``ranks.png`` and ``recall.png``. Ranks are those of the metrics, see
    :func:`ranks_of_videos` and :func:`ranks_of_captions`.

    Args:
        folder (str | Path): Where to write; created if it does not exist.
        records (Sequence[VideoRecord]): Scored videos.
        title (str): Heading.
        count (int): Number of wrong answers to show.
        v2t_protocol (str): Argument of :func:`ranks_of_captions`.
        lower_median (bool): Argument of :func:`recall_figures`.
        frames (bool): Whether to show frames of the wrong answers, which reads their videos.

    Returns:
        Path: The page.

    Raises:
        KeyError: If a video has no scores.
        OSError: If the folder cannot be written.
    """
    folder, scores = Path(folder), stack_scores(records)
    folder.mkdir(parents=True, exist_ok=True)
    figures = retrieval_figures(scores, protocol=v2t_protocol, lower_median=lower_median)
    figures['unreadable_videos'] = count_unreadable(records)
    ranks = {
        'text to video': ranks_of_videos(scores.similarity, scores.video_index),
        'video to text': ranks_of_captions(scores.similarity, scores.video_index, v2t_protocol),
    }
    totals = {
        'text to video': len(records),
        'video to text': len(records) if v2t_protocol == 'caption_groups' else len(scores.similarity),
    }
    unreadable = [record.unreadable is not None for record in records]
    pictures = {
        'similarity': similarity_map(scores.similarity, scores.video_index, unreadable),
        'ranks': rank_bars({name: rank_histogram(found, totals[name]) for name, found in ranks.items()}),
        'recall': recall_lines({name: recall_curve(found, totals[name]) for name, found in ranks.items()}),
    }
    parts = []
    for name, picture in pictures.items():
        content = as_png(picture)
        (folder / f'{name}.png').write_bytes(content)
        data = base64.b64encode(content).decode()
        parts.append(f'<img alt="{name}" src="data:image/png;base64,{data}">')
    wrong = find_wrong_answers(records, count)
    missed = int((ranks['text to video'] > 1).sum())
    sections = '\n'.join(_section(answer, records, frames) for answer in wrong)
    page = (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>\n'
        f'<style>{STYLE}</style>\n<h1>{escape(title)}</h1>\n'
        f'<p>{len(scores.similarity)} captions, {len(records)} videos</p>\n'
        f'<pre>{escape(format_table(figures))}</pre>\n{"".join(parts)}\n<h2>Nearest wrong answers</h2>\n'
        f'<p>The right video is not the first answer to {missed} of {len(scores.similarity)} captions. '
        f'Shown are {len(wrong)}, the worst of each video.</p>\n{sections}\n</html>\n'
    )
    path = folder / 'report.html'
    path.write_text(page, encoding='utf-8')
    return path


def _section(answer: WrongAnswer, records: Sequence[VideoRecord], frames: bool) -> str:
    """Describe the right video of a caption and the videos before it."""
    record = records[answer.video]
    lines = [_video(record, f'right video, rank {answer.rank}, {answer.score:.4f}', frames)]
    for place, (video, score) in enumerate(answer.above, 1):
        other = records[video]
        note = f'rank {place}, {score:.4f}'
        note += ', the same score' if score == answer.score else ''
        group = _group(other)
        note += ', the same group' if group is not None and group == _group(record) else ''
        lines.append(_video(other, note, frames))
    left = answer.rank - 1 - len(answer.above)
    more = f'<p><small>and {left} more before the right one</small></p>' if left else ''
    caption = escape(record.captions[answer.caption])
    return f'<section>\n<p class="generated">“{caption}”</p>\n' + '\n'.join(lines) + f'{more}\n</section>'


def _group(record: VideoRecord) -> str | None:
    return record.group if record.group_key is None else record.group_key


def _video(record: VideoRecord, note: str, frames: bool) -> str:
    """Show a video by its name, its first captions and, if wanted, its frames."""
    captions = [f'“{escape(caption)}”' for caption in record.captions[:CAPTIONS]]
    left = len(record.captions) - len(captions)
    captions += [f'and {left} more'] if left else []
    name = video_name(record)
    name = record.video_id if record.video_id.endswith(name) else f'{record.video_id}, {name}'
    picture = ''
    if frames:
        strip = None if record.unreadable is not None else read_strip(record.filename, record.window)
        picture = (
            '<p class="bad">cannot be read</p>' if strip is None else f'<br>{embed_picture(strip, name)}'
        )
    return f'<div><b>{note}</b> <small>{escape(name)}: {", ".join(captions)}</small>{picture}</div>'

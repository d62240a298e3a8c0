"""Figures of an evaluation: similarity heat map, rank histogram and recall curves."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

if TYPE_CHECKING:
    from ..evaluation.functional import RankBin

MOST_ROWS = 600  # of a heat map; more would be narrower than a pixel


def similarity_map(
    similarity: np.ndarray, video_index: np.ndarray, unreadable: Sequence[bool] = ()
) -> Figure:
    """Draw the scores of the first caption of each video with each video; right pairs are the diagonal.

    Of more than 600 videos, every second, third, ... one is drawn, as a row and as a column. Videos that
    could not be read are gray.

    Args:
        similarity (np.ndarray): Score of each caption for each video, (N, V).
        video_index (np.ndarray): Index of the video of each caption, increasing, (N,).
        unreadable (Sequence[bool]): True for videos that could not be read, (V,).

    Examples:
        >>> figure = similarity_map(np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]]), np.array([0, 0, 1]))
        >>> figure.axes[0].images[0].get_array().tolist()
        [[0.9, 0.1], [0.3, 0.7]]
    """
    step = -(-similarity.shape[1] // MOST_ROWS)
    videos = np.arange(0, similarity.shape[1], step)
    rows = np.searchsorted(video_index, videos)  # of the first caption of each
    shown = similarity[np.ix_(rows, videos)].astype(float)
    hidden = np.zeros(similarity.shape[1], bool)
    hidden[: len(unreadable)] = unreadable
    shown = np.ma.array(shown, mask=np.broadcast_to(hidden[videos], shown.shape))
    figure = _figure(6.4, 5.6)
    axis = figure.subplots()
    axis.set_facecolor('#cccccc')
    drawn = axis.imshow(shown, cmap='viridis', interpolation='nearest')
    figure.colorbar(drawn, ax=axis, label='similarity')
    for side in (axis.xaxis, axis.yaxis):  # also of a single video
        side.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    every = '' if step == 1 else f', every {_ordinal(step)} video'
    axis.set(xlabel='video', ylabel='first caption of the video', title=f'similarity{every}')
    return figure


def rank_bars(bins: Mapping[str, Sequence['RankBin']]) -> Figure:
    """Draw the share of queries by the rank of their right answer, one color per direction.

    Args:
        bins (Mapping[str, Sequence[RankBin]]): Output of :func:`rank_histogram` by the name of the direction.
    """
    figure = _figure(7.2, 3.6)
    axis = figure.subplots()
    ranges = sorted({(bin.first, bin.last) for found in bins.values() for bin in found})
    width = 0.8 / len(bins)
    for number, (name, found) in enumerate(bins.items()):
        total = sum(bin.queries for bin in found)
        places = [ranges.index((bin.first, bin.last)) + (number + 0.5) * width - 0.4 for bin in found]
        drawn = axis.bar(
            places, [100 * bin.queries / total for bin in found], width, label=f'{name} ({total})'
        )
        axis.bar_label(drawn, [str(bin.queries) if bin.queries else '' for bin in found], fontsize=7)
    labels = [f'{first}' if first == last else f'{first}-{last}' for first, last in ranges]
    axis.set_xticks(range(len(labels)), labels)
    axis.set(xlabel='rank of the right answer', ylabel='queries, %', title='ranks')
    axis.legend()
    return figure


def recall_lines(curves: Mapping[str, np.ndarray]) -> Figure:
    """Draw the recall at each K in percent.

    Args:
        curves (Mapping[str, np.ndarray]): Output of :func:`recall_curve` by the name of the direction.
    """
    figure = _figure(7.2, 3.6)
    axis = figure.subplots()
    for name, curve in curves.items():
        axis.step(np.arange(1, len(curve) + 1), curve, where='post', label=name)
    axis.set(xscale='log', ylim=(0, 102), xlabel='K', ylabel='R@K, %', title='recall')
    axis.xaxis.set_major_formatter('{x:g}')
    axis.grid(alpha=0.3, which='both')
    axis.legend(loc='lower right')
    return figure


def as_png(figure: Figure) -> bytes:
    """Return a figure as the content of a PNG file."""
    figure.tight_layout()
    content = BytesIO()
    figure.savefig(content, format='png')
    return content.getvalue()


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), dpi=110)
    FigureCanvasAgg(figure)
    return figure


def _ordinal(number: int) -> str:
    return {2: 'second', 3: 'third'}.get(number, f'{number}th')

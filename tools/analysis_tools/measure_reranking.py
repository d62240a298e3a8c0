"""Measure how often a search with a shortlist and stored features finds what scoring all pairs finds.

A row is printed for shortlists of a fixed length, and for one that grows as in a search of an index.
"""

import argparse
from pathlib import Path


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'checkpoint', help='checkpoint of a head that is re-ranked, such as Tight, WTI or XPool'
    )
    parser.add_argument(
        'annotations', type=Path, help='annotation file, such as data/moving_shapes/test.json'
    )
    parser.add_argument('videos', type=Path, help='folder of its videos')
    parser.add_argument(
        '--shortlists', type=int, nargs='+', default=[20, 50, 100], help='lengths (default: %(default)s)'
    )
    parser.add_argument('--captions', type=int, help='number of captions, at equal distances (default: all)')
    parser.add_argument('--top', type=int, default=10, help='number of answers (default: %(default)s)')
    return parser.parse_args()


if __name__ == '__main__':
    args = parse_args()  # before the imports, which take seconds

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

import mmclip4clip
from mmclip4clip.datasets.annotations import load_annotations
from mmclip4clip.models.features import Features
from mmclip4clip.search import (
    FeatureLayout,
    pack_features,
    text_vectors,
    unpack_features,
    video_vectors,
)
from mmclip4clip.search.growing_shortlist import settled_answers
from mmclip4clip.search.index import LONGEST


def as_features(arrays, name: str) -> Features:
    parts = arrays if isinstance(arrays, dict) else {name: arrays}
    return {key: torch.as_tensor(part) for key, part in parts.items()}


def agreement(cheap: Tensor, stored: Tensor, exact: Tensor, shortlist: int, top: int) -> tuple[float, float]:
    """Return the shares of captions with the same best videos in the same order, and in any order."""
    listed = torch.zeros_like(cheap, dtype=torch.bool)
    listed.scatter_(1, cheap.topk(min(shortlist, cheap.shape[1])).indices, True)
    return shares(stored.masked_fill(~listed, float('-inf')).topk(top).indices, exact)


def shares(found: Tensor, exact: Tensor) -> tuple[float, float]:
    """Return the shares of captions whose found videos (N, top) are the best, in order, and in any order."""
    best = exact.topk(found.shape[1]).indices
    ordered = (found == best).all(dim=1).double().mean()
    same = (found.sort(dim=1).values == best.sort(dim=1).values).all(dim=1).double().mean()
    return float(ordered), float(same)


def grown(cheap: Tensor, stored: Tensor, shortlist: int, top: int) -> tuple[Tensor, list[int]]:
    """Return the videos that growing shortlists find, (N, top), and the lengths of these."""
    found, lengths = [], []
    for listed, scores in zip(cheap.argsort(dim=1, descending=True, stable=True), stored):

        def answers_of(
            length: int, listed: Tensor = listed, scores: Tensor = scores
        ) -> tuple[list[int], bool]:
            lengths[-1] = min(length, len(listed))
            chosen = listed[:length]
            order = scores[chosen].argsort(descending=True, stable=True)[:top]
            return chosen[order].tolist(), length >= len(listed)

        lengths.append(0)
        found.append(settled_answers(answers_of, shortlist, LONGEST * shortlist, top))
    return torch.tensor(found), lengths


def add_row(table: Table, name: str, values: tuple[float, float]) -> None:
    table.add_row(name, *(f'{100 * value:.2f} %' for value in values))


@torch.no_grad()
def main(args: argparse.Namespace) -> None:
    loaded = mmclip4clip.load(args.checkpoint)
    model = loaded.model
    entries = load_annotations(args.annotations)
    videos = as_features(
        loaded.encode_videos([str(args.videos / entry['video']) for entry in entries]), 'video'
    )
    captions = [caption for entry in entries for caption in entry['captions']]
    if args.captions is not None:
        captions = captions[:: max(1, len(captions) // args.captions)]
    text = as_features(loaded.encode_text(captions), 'text')
    layout = FeatureLayout.of(videos)
    contents = pack_features(layout, videos)
    exact = model.similarity(text, videos)
    stored = model.similarity(text, unpack_features(layout, contents))
    cheap = text_vectors(model.adapter, text) @ video_vectors(model.adapter, videos).T
    table = Table('shortlist', f'same {args.top}, in order', f'same {args.top}')
    for length in args.shortlists:
        add_row(table, str(length), agreement(cheap, stored, exact, length, args.top))
    for length in args.shortlists:
        found, lengths = grown(cheap, stored, length, args.top)
        name = f'{length}, grown to {sum(lengths) / len(lengths):.0f} on average, {max(lengths)} at most'
        add_row(table, name, shares(found, exact))
    Console().print(table)
    print(
        f'{len(captions)} captions, {len(contents)} videos, {type(model.adapter).__name__}; '
        f'{max(map(len, contents))} bytes a video at most'
    )


if __name__ == '__main__':
    main(args)

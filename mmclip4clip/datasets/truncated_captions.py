from typing import Any, NamedTuple

import numpy as np
from mmengine.dataset import BaseDataset

from ..tokenizers.caption_text import encode_captions
from .transforms import TokenizeCaptions

MAX_CAPTIONS, MAX_TOKENS = 10_000, 2_000  # that are looked at, and that are counted of each


class TruncatedCaptions(NamedTuple):
    """How many captions are longer than a transform lets through.

    ``cut`` of ``captions`` are; ``longest`` tokens has the longest, start and end included; ``whole`` says
    whether these are all captions of the dataset.
    """

    cut: int
    captions: int
    longest: int
    whole: bool


def count_truncated_captions(dataset: Any, tokenize: TokenizeCaptions) -> TruncatedCaptions | None:
    """Count the captions that lose words, in seconds whatever the size of the dataset.

    Of a large one, items are drawn, the same ones each time, until they have 10,000 captions. Then the share
    is right to 1 % in 95 of 100 cases.

    Args:
        dataset (Dataset): Not wrapped. With another than mmengine's, or without captions, None is returned.
        tokenize (TokenizeCaptions): Its transform.
    """
    if not isinstance(dataset, BaseDataset) or not len(dataset):
        return None
    total, seen, captions = len(dataset), 0, []
    for index in _order(total):
        seen += 1
        # The base class's, as our dataset's draws a caption at random with caption_mode='random'.
        captions += BaseDataset.get_data_info(dataset, int(index)).get('captions', [])
        if len(captions) >= MAX_CAPTIONS:
            break
    whole, captions = seen == total and len(captions) <= MAX_CAPTIONS, captions[:MAX_CAPTIONS]
    if not captions:
        return None
    lengths = np.array([2 + len(ids) for ids in encode_captions(tokenize.tokenizer, captions, MAX_TOKENS)])
    return TruncatedCaptions(
        int((lengths > tokenize.max_words).sum()), len(captions), int(lengths.max()), whole
    )


def _order(total: int) -> np.ndarray:
    """Return the items of a small dataset in order, or so many of a large one as can be needed."""
    if total <= MAX_CAPTIONS:
        return np.random.default_rng(0).permutation(total)
    return np.random.default_rng(0).choice(total, MAX_CAPTIONS, replace=False)

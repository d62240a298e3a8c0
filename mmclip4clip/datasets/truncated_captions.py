from typing import Any, NamedTuple

import numpy as np
from mmengine.dataset import BaseDataset

from ..tokenizers.caption_text import encode_captions
from .transforms import TokenizeCaptions

MAX_CAPTIONS, MAX_TOKENS = 10_000, 2_000  # captions to inspect, and tokens to count per caption


class TruncatedCaptions(NamedTuple):
    """Statistics on captions that are longer than the maximum of a transform.

    Attributes:
        cut (int): Captions that are truncated.
        captions (int): Captions that were inspected.
        longest (int): Tokens of the longest caption, including start and end.
        whole (bool): Whether all captions of the dataset were inspected.

    Examples:
        >>> count = TruncatedCaptions(cut=5, captions=100, longest=40, whole=True)
        >>> f'{count.cut / count.captions:.0%} of the captions are truncated'
        '5% of the captions are truncated'
    """

    cut: int
    captions: int
    longest: int
    whole: bool


def count_truncated_captions(dataset: Any, tokenize: TokenizeCaptions) -> TruncatedCaptions | None:
    """Count the captions that are truncated, in seconds for a dataset of any size.

    A large dataset is sampled, always in the same way, until 10,000 captions are found. The resulting share
    is accurate to 1 % in 95 of 100 cases.

    Args:
        dataset (Dataset): An unwrapped dataset.
        tokenize (TokenizeCaptions): Its tokenizing transform.

    Returns:
        TruncatedCaptions | None: The counts; None if the dataset is not mmengine's or has no captions.
    """
    if not isinstance(dataset, BaseDataset) or not len(dataset):
        return None
    total, seen, captions = len(dataset), 0, []
    for index in _order(total):
        seen += 1
        # The method of the base class, because that of VideoCaptionDataset may draw a random caption.
        captions += BaseDataset.get_data_info(dataset, int(index)).get('captions', [])
        if len(captions) >= MAX_CAPTIONS:
            break
    whole, captions = seen == total and len(captions) <= MAX_CAPTIONS, captions[:MAX_CAPTIONS]
    if not captions:
        return None
    lengths = np.array(
        [tokenize.num_special + len(ids) for ids in encode_captions(tokenize.tokenizer, captions, MAX_TOKENS)]
    )
    return TruncatedCaptions(
        int((lengths > tokenize.max_words).sum()), len(captions), int(lengths.max()), whole
    )


def _order(total: int) -> np.ndarray:
    """Return all items of a small dataset in random order, or a large enough sample of a large one."""
    if total <= MAX_CAPTIONS:
        return np.random.default_rng(0).permutation(total)
    return np.random.default_rng(0).choice(total, MAX_CAPTIONS, replace=False)

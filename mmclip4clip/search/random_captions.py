"""Captions of random words, to learn how a head scores a video without any captions of videos."""

from typing import Any

import numpy as np

MOST_WORDS = 4096  # of the vocabulary, which are enough


def random_captions(
    tokenizer: Any, count: int = 256, words: tuple[int, int] = (3, 10), seed: int = 0
) -> list[str]:
    """Return captions of random words of a tokenizer, the same for the same seed.

    Args:
        tokenizer (PreTrainedTokenizerBase): The tokenizer of the text tower.
        count (int): Number of captions.
        words (tuple[int, int]): Smallest and largest number of words.
        seed (int): Seed.

    Raises:
        ValueError: If none of the tokens is a word.

    Examples:
        >>> from tempfile import TemporaryDirectory
        >>> from mmclip4clip.tokenizers.loading import train_tokenizer
        >>> with TemporaryDirectory() as folder:
        ...     tokenizer = train_tokenizer(['a dog runs', 'a cat sleeps'], folder)
        >>> len(random_captions(tokenizer, count=2))
        2
    """
    rng = np.random.default_rng(seed)
    tokens = rng.permutation(len(tokenizer))[:MOST_WORDS].tolist()
    vocabulary = [word for word in (tokenizer.decode([token]).strip() for token in tokens) if word.isalpha()]
    if not vocabulary:
        raise ValueError(f'the vocabulary of {type(tokenizer).__name__} has no words')
    return [' '.join(rng.choice(vocabulary, rng.integers(words[0], words[1] + 1))) for _ in range(count)]

import numpy as np
from mmaction.registry import TRANSFORMS
from mmcv.transforms import BaseTransform

from ...tokenizers.caption_text import encode_captions
from ...tokenizers.loading import load_decoder_tokenizer, load_tokenizer


@TRANSFORMS.register_module()
class TokenizeCaptions(BaseTransform):
    """Turn captions into CLIP's tokens: start, words, end.

    Captions are cleaned as in CLIP's training, see :func:`clean_caption`; the ids are CLIP's own.
    A caption that is too long loses words before the end token, never the end
    token itself. Captions are padded to the longest of their video only.

    Required Keys:

    - captions (list[str])

    Added Keys:

    - tokens (np.ndarray, int64, (N, L)): Padded with 0.
    - text_mask (np.ndarray, int64, (N, L)): 1 for real tokens.

    Args:
        tokenizer (str): Name on the Hugging Face hub, or a local folder.
        max_words (int): The most tokens of a caption, start and end included.

    Raises:
        ValueError: If ``max_words`` leaves no room for a word.
        OSError: If the tokenizer cannot be loaded.
    """

    def __init__(self, tokenizer: str = 'openai/clip-vit-base-patch32', max_words: int = 32) -> None:
        _check_max_words(max_words)
        self.name, self.max_words = tokenizer, max_words
        self.tokenizer = load_tokenizer(tokenizer)

    def transform(self, results: dict) -> dict:
        """Tokenize all captions of one video."""
        words = encode_captions(self.tokenizer, results['captions'], self.max_words - 2)
        encoded = [[self.tokenizer.bos_token_id, *ids, self.tokenizer.eos_token_id] for ids in words]
        return dict(results, **_pad(encoded, 'tokens', 'text_mask'))

    def __repr__(self) -> str:
        return f'{type(self).__name__}(tokenizer={self.name!r}, max_words={self.max_words})'


@TRANSFORMS.register_module()
class TokenizeTargets(BaseTransform):
    """Turn captions into the tokens that a caption decoder with a tokenizer of its own learns to write.

    Beside :class:`TokenizeCaptions`, whose tokens CLIP reads and which a decoder with CLIP's
    vocabulary also writes. Captions are cleaned alike. The start and end of a caption are bos and eos of
    the tokenizer, else cls and sep, whether or not it adds them itself.

    Required Keys:

    - captions (list[str])

    Added Keys:

    - caption_tokens (np.ndarray, int64, (N, L)): Padded with 0.
    - caption_mask (np.ndarray, int64, (N, L)): 1 for real tokens.

    Args:
        tokenizer (str): That of the model's ``tokenizer``: name on the Hugging Face hub, or a local folder.
        max_words (int): The most tokens of a caption, start and end included.

    Raises:
        ValueError: If ``max_words`` leaves no room for a word, or captions could not start or end.
        OSError: If the tokenizer cannot be loaded.
    """

    def __init__(self, tokenizer: str, max_words: int = 32) -> None:
        _check_max_words(max_words)
        self.name, self.max_words = tokenizer, max_words
        self.tokenizer, self.start, self.end = load_decoder_tokenizer(tokenizer)

    def transform(self, results: dict) -> dict:
        """Tokenize all captions of one video."""
        words = encode_captions(self.tokenizer, results['captions'], self.max_words - 2)
        encoded = [[self.start, *ids, self.end] for ids in words]
        return dict(results, **_pad(encoded, 'caption_tokens', 'caption_mask'))

    def __repr__(self) -> str:
        return f'{type(self).__name__}(tokenizer={self.name!r}, max_words={self.max_words})'


def _check_max_words(max_words: int) -> None:
    if max_words < 3:
        raise ValueError(f'max_words counts start and end, so it must be at least 3, got {max_words}')


def _pad(encoded: list[list[int]], tokens_key: str, mask_key: str) -> dict[str, np.ndarray]:
    """Pad the ids of N captions with 0 to the longest, (N, L), and tell by a mask (N, L) what is real."""
    lengths = np.array([len(ids) for ids in encoded])
    mask = (np.arange(lengths.max()) < lengths[:, None]).astype(np.int64)
    tokens = np.zeros_like(mask)
    for row, ids in zip(tokens, encoded):
        row[: len(ids)] = ids
    return {tokens_key: tokens, mask_key: mask}

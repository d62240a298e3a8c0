from mmaction.registry import TRANSFORMS
from mmcv.transforms import BaseTransform

from ...tokenizers.caption_text import encode_captions, special_ids
from ...tokenizers.cleaning import pad_rows
from ...tokenizers.loading import load_decoder_tokenizer, load_tokenizer


@TRANSFORMS.register_module()
class TokenizeCaptions(BaseTransform):
    """Tokenize captions for the text tower, with the start and end tokens that its tokenizer adds.

    Captions are cleaned as in CLIP's training, see :func:`clean_caption`. A caption that is too long is
    truncated before the end token, which is always kept. Captions are padded to the longest caption of their
    video; the backbone pads further where its text tower reads padding.

    Required Keys:

    - captions (list[str])

    Added Keys:

    - tokens (np.ndarray, int64, (N, L)): Token ids, padded with 0.
    - text_mask (np.ndarray, int64, (N, L)): 1 for real tokens.

    Args:
        tokenizer (str): Name on the Hugging Face hub, or a local folder.
        max_words (int): Maximum number of tokens per caption, including start and end.

    Raises:
        ValueError: If ``max_words`` leaves no room for a word.
        OSError: If the tokenizer cannot be loaded.

    Examples:
        >>> import tempfile
        >>> from mmclip4clip.datasets import TokenizeCaptions
        >>> from mmclip4clip.tokenizers.loading import train_tokenizer
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = train_tokenizer(['a red circle', 'a blue square'], folder)
        ...     tokenize = TokenizeCaptions(folder, max_words=5)
        >>> results = tokenize(dict(captions=['a red circle', 'a square']))
        >>> results['text_mask'].tolist()
        [[1, 1, 1, 1, 1], [1, 1, 1, 1, 0]]
    """

    def __init__(self, tokenizer: str = 'openai/clip-vit-base-patch32', max_words: int = 32) -> None:
        _check_max_words(max_words)
        self.name, self.max_words = tokenizer, max_words
        self.tokenizer = load_tokenizer(tokenizer)
        self.start, self.end = special_ids(self.tokenizer)

    @property
    def num_special(self) -> int:
        """Number of tokens of a caption that are not words, start and end."""
        return len(self.start) + len(self.end)

    def transform(self, results: dict) -> dict:
        """Tokenize all captions of one video."""
        words = encode_captions(self.tokenizer, results['captions'], self.max_words - self.num_special)
        encoded = [[*self.start, *ids, *self.end] for ids in words]
        return dict(results, **dict(zip(('tokens', 'text_mask'), pad_rows(encoded))))

    def __repr__(self) -> str:
        return f'{type(self).__name__}(tokenizer={self.name!r}, max_words={self.max_words})'


@TRANSFORMS.register_module()
class TokenizeTargets(BaseTransform):
    """Tokenize the target captions of a decoder whose tokenizer is not CLIP's.

    Use it with :class:`TokenizeCaptions`, which provides the input of CLIP and the targets of a decoder
    with CLIP's vocabulary. Captions are cleaned in the same way. The start and end tokens are the
    tokenizer's bos and eos, or cls and sep if it has none, whether or not the tokenizer adds them by default.

    Required Keys:

    - captions (list[str])

    Added Keys:

    - caption_tokens (np.ndarray, int64, (N, L)): Token ids, padded with 0.
    - caption_mask (np.ndarray, int64, (N, L)): 1 for real tokens.

    Args:
        tokenizer (str): The same as the model's ``tokenizer``: a name on the Hugging Face hub, or a local
            folder.
        max_words (int): Maximum number of tokens per caption, including start and end.

    Raises:
        ValueError: If ``max_words`` leaves no room for a word, or the tokenizer has no start or end token.
        OSError: If the tokenizer cannot be loaded.

    Examples:
        >>> import tempfile
        >>> from mmclip4clip.datasets import TokenizeTargets
        >>> from mmclip4clip.tokenizers.loading import train_tokenizer
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = train_tokenizer(['a red circle', 'a blue square'], folder)
        ...     tokenize = TokenizeTargets(folder, max_words=5)
        >>> tokenize(dict(captions=['a square']))['caption_tokens'].shape
        (1, 4)
    """

    def __init__(self, tokenizer: str, max_words: int = 32) -> None:
        _check_max_words(max_words)
        self.name, self.max_words = tokenizer, max_words
        self.tokenizer, self.start, self.end = load_decoder_tokenizer(tokenizer)

    def transform(self, results: dict) -> dict:
        """Tokenize all captions of one video."""
        words = encode_captions(self.tokenizer, results['captions'], self.max_words - 2)
        encoded = [[self.start, *ids, self.end] for ids in words]
        return dict(results, **dict(zip(('caption_tokens', 'caption_mask'), pad_rows(encoded))))

    def __repr__(self) -> str:
        return f'{type(self).__name__}(tokenizer={self.name!r}, max_words={self.max_words})'


def _check_max_words(max_words: int) -> None:
    if max_words < 3:
        raise ValueError(f'max_words counts start and end, so it must be at least 3, got {max_words}')

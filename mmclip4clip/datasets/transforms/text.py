import numpy as np
from mmaction.registry import TRANSFORMS
from mmcv.transforms import BaseTransform

from ..tokenizer import load_tokenizer


@TRANSFORMS.register_module()
class TokenizeCaptions(BaseTransform):
    """Turn captions into CLIP's tokens: start, words, end.

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
        if max_words < 3:
            raise ValueError('max_words counts start and end, so it must be at least 3, '
                             f'got {max_words}')
        self.name, self.max_words = tokenizer, max_words
        self.tokenizer = load_tokenizer(tokenizer)

    def transform(self, results: dict) -> dict:
        """Tokenise all captions of one video."""
        encoded = self.tokenizer(
            results['captions'], truncation=True, max_length=self.max_words)['input_ids']
        lengths = np.array([len(ids) for ids in encoded])
        results['text_mask'] = (np.arange(lengths.max()) < lengths[:, None]).astype(np.int64)
        results['tokens'] = np.zeros_like(results['text_mask'])
        for row, ids in zip(results['tokens'], encoded):
            row[:len(ids)] = ids
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(tokenizer={self.name!r}, max_words={self.max_words})'

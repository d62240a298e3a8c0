"""Captions as token ids, by the library ``tokenizers`` alone."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from ..tokenizers.cleaning import encode_beginnings, pad_rows
from .export_folder import TOKENIZER, ExportError


class CaptionReader:
    """Tokenizes captions as :class:`TokenizeCaptions` does.

    Args:
        folder (Path): Folder of an exported model, with ``tokenizer.json``.
        settings (dict): ``captions`` of :class:`ExportSettings`.

    Raises:
        ExportError: If the tokenizer or the settings are damaged.

    Examples:
        >>> import tempfile
        >>> from mmclip4clip.tokenizers import train_tokenizer
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = train_tokenizer(['a dog'], folder)
        ...     read = CaptionReader(Path(folder), dict(start=[0], end=[1], max_words=4, lowercase=True))
        >>> read(['A dog', 'dog'])[1].tolist()
        [[1, 1, 1, 1], [1, 1, 1, 0]]
    """

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        try:
            self.tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
            self.start, self.end = list(settings['start']), list(settings['end'])
            self.max_words, self.is_lowered = int(settings['max_words']), bool(settings['lowercase'])
        except Exception as error:  # of the library, which raises Exception itself
            raise ExportError(
                f'the tokenizer of the exported model {folder} is damaged: {error!r}'
            ) from error
        self.tokenizer.no_truncation()
        self.tokenizer.no_padding()

    def __call__(self, captions: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return the ids of captions, padded with 0, and the mask of real tokens, (N, L) int64 each."""
        most = self.max_words - len(self.start) - len(self.end)
        words = encode_beginnings(lambda texts: self._encode(texts, 2 * most), list(captions), most)
        return pad_rows([[*self.start, *ids, *self.end] for ids in words])

    def _encode(self, texts: list[str], most: int) -> list[list[int]]:
        lowered = [text.lower() for text in texts] if self.is_lowered else texts
        return [row.ids[:most] for row in self.tokenizer.encode_batch(lowered, add_special_tokens=False)]

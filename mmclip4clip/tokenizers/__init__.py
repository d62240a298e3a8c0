"""Tokenizers: caption cleaning, encoding and decoding, loading, training, and storage in checkpoints."""

from typing import TYPE_CHECKING

from ..lazy_exports import lazy_exports

if TYPE_CHECKING:
    from .caption_text import decode_caption, encode_captions
    from .cleaning import clean_caption
    from .loading import load_decoder_tokenizer, load_tokenizer, train_tokenizer

__all__ = [
    'clean_caption',
    'encode_captions',
    'load_decoder_tokenizer',
    'load_tokenizer',
    'decode_caption',
    'train_tokenizer',
]

__getattr__ = lazy_exports(
    __name__,
    dict(
        caption_text=['decode_caption', 'encode_captions'],
        cleaning=['clean_caption'],
        loading=['load_decoder_tokenizer', 'load_tokenizer', 'train_tokenizer'],
    ),
)

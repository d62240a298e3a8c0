"""Tokenizers: caption cleaning, encoding and decoding, loading, training, and storage in checkpoints."""

from .caption_text import clean_caption, encode_captions
from .loading import decode_caption, load_decoder_tokenizer, load_tokenizer, train_tokenizer

__all__ = [
    'clean_caption',
    'encode_captions',
    'load_decoder_tokenizer',
    'load_tokenizer',
    'decode_caption',
    'train_tokenizer',
]

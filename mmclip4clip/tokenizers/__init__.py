"""Tokenizers: loaded by name, cleaned captions turned into ids and back, carried by checkpoints."""

from .caption_text import clean_caption, encode_captions
from .loading import load_decoder_tokenizer, load_tokenizer, spell_caption, train_tokenizer

__all__ = [
    'clean_caption',
    'encode_captions',
    'load_decoder_tokenizer',
    'load_tokenizer',
    'spell_caption',
    'train_tokenizer',
]

"""Small encoders of each family of dual encoders, and folders of them with tokenizer and image processor."""

import json
from collections.abc import Iterable
from pathlib import Path

import torch
import transformers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from mmclip4clip.models import CLIPBackbone
from mmclip4clip.models.backbones.families import FAMILIES
from mmclip4clip.tokenizers import train_tokenizer

# The families that the installed transformers has.
KINDS = [kind for kind, family in FAMILIES.items() if hasattr(transformers, f'{family.name}Model')]
TOWER = dict(hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2)


def small_encoder(
    kind: str, side: int = 32, patch: int = 16, tower: dict = TOWER, vocab_size: int = 99, length: int = 24
) -> dict:
    """The config of a small encoder of a family, for frames of ``side`` pixels."""
    text = dict(tower, vocab_size=vocab_size, max_position_embeddings=length, pad_token_id=1)
    text |= dict(bos_token_id=0, eos_token_id=3)  # with 2, transformers' CLIP pools the highest id
    vision = dict(tower, image_size=side, patch_size=patch)
    config = dict(model_type=kind, text_config=text, vision_config=vision)
    if kind == 'altclip':
        text |= dict(project_dim=48, max_position_embeddings=length + 2)
        vision['projection_dim'] = 16
    if kind == 'siglip2':
        del vision['image_size']
        vision['num_patches'] = (side // patch) ** 2
    if not kind.startswith('siglip'):
        config['projection_dim'] = 16
    return config


def word_tokenizer(captions: Iterable[str], kind: str) -> PreTrainedTokenizerFast:
    """A tokenizer of whole words, with the special tokens of a family's."""
    words = {word for caption in captions for word in caption.lower().split()}
    special = ['<s>', '<pad>', '<unk>', '</s>']
    vocab = {token: i for i, token in enumerate([*special, *sorted(words - set(special))])}
    tokenizer = Tokenizer(models.WordLevel(vocab, unk_token='<unk>'))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    start = '' if kind.startswith('siglip') else '<s> '
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f'{start}$A </s>', special_tokens=[('<s>', 0), ('</s>', 3)]
    )
    names = dict(bos_token='<s>', pad_token='<pad>', unk_token='<unk>', eos_token='</s>')
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)


def save_encoder(folder: Path, kind: str, captions: Iterable[str], side: int = 64, patch: int = 32) -> Path:
    """Save an encoder with random weights, its tokenizer, and the image processor of its family."""
    if kind == 'clip':
        tokenizer = train_tokenizer(captions, folder)
    elif kind == 'siglip2':  # transformers always loads this class for it
        tokenizer = transformers.Siglip2Tokenizer().train_new_from_iterator(captions, 300)
    else:
        tokenizer = word_tokenizer(captions, kind)
    tower = dict(hidden_size=64, intermediate_size=256, num_hidden_layers=2, num_attention_heads=2)
    config = small_encoder(kind, side, patch, tower, len(tokenizer) + 8, length=32)  # room for special tokens
    ids = ('bos_token_id', 'eos_token_id', 'pad_token_id')
    config['text_config'].update({name: getattr(tokenizer, name) for name in ids})
    if kind in ('chinese_clip', 'altclip'):  # with small weights, BERT's first token hardly sees the others
        config['text_config'].update(initializer_range=0.1, hidden_dropout_prob=0.0)
    if 'projection_dim' in config:
        config['projection_dim'] = 64
    torch.manual_seed(0)
    backbone = CLIPBackbone(config=config, embedding_std=dict(text=0.2, vision=0.5))
    backbone.clip.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    format = backbone.frame_format
    size = dict(shortest_edge=side) if format.keep_ratio else dict(height=side, width=side)
    processor = dict(
        size=size,
        do_center_crop=format.keep_ratio,
        crop_size=dict(height=side, width=side),
        image_mean=[x / 255 for x in format.mean],
        image_std=[x / 255 for x in format.std],
        resample=3 if format.interpolation == 'bicubic' else 2,
    )
    (folder / 'preprocessor_config.json').write_text(json.dumps(processor))
    return folder

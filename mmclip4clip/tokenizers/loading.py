import functools
import json
import logging
import string
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, cast

from mmengine.logging import print_log
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from ..hub import load_named
from .caption_text import use_clip_normalizer
from .cleaning import clean_caption
from .clip_tokenizer import CLIPTokenizer, create_tokenizer
from .saved_tokenizer import CAPTIONS, DECODER, offered_tokenizer, unpack_tokenizer

EMPTY = {'<|startoftext|>': 0, '<|endoftext|>': 1}  # a vocabulary to start training from
VOCABULARIES = ('tokenizer.json', 'vocab.json', 'vocab.txt', '*.model')


def load_tokenizer(name: str) -> PreTrainedTokenizerBase:
    """Load the tokenizer of an encoder from a local folder, the hub, or the checkpoint that is being loaded.

    A folder without the class of its tokenizer, in ``tokenizer_config.json`` or ``config.json``, is CLIP's.

    Args:
        name (str): Name on the Hugging Face hub, or a local folder.

    Returns:
        PreTrainedTokenizerBase: The tokenizer.

    Raises:
        OSError: If there is no such tokenizer; says how to obtain it without a network.

    Examples:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     _ = train_tokenizer(['a dog runs', 'a cat sleeps'], folder)
        ...     tokenizer = load_tokenizer(folder)  # or 'openai/clip-vit-base-patch32'
        >>> tokenizer.tokenize('a dog')
        ['a</w>', 'dog</w>']
    """
    where = 'in that folder' if Path(name).is_dir() else 'in a local folder or on the hub'
    advice = (
        f'no CLIP tokenizer {where}: tokenizer={name!r}. Without a network, save one with '
        'CLIPTokenizer.save_pretrained(FOLDER) elsewhere and give FOLDER, or train one on your captions with '
        'tools/train_tokenizer.py; checkpoints of this version carry theirs'
    )

    def complete(tokenizer: PreTrainedTokenizerBase) -> bool:
        # A folder without vocabulary gives an empty tokenizer without an error. CLIP's has all bytes.
        return num_words(tokenizer) > (250 if isinstance(tokenizer, CLIPTokenizer) else 0)

    tokenizer = _load(_from_pretrained, name, complete, CAPTIONS, advice)
    if not complete(tokenizer):
        raise OSError(f'{advice}. Cause: it has {len(tokenizer)} tokens')
    if type(tokenizer).__name__.startswith(('Gemma', 'Siglip2')):  # not every published file says it
        tokenizer.reads_lowercase = True
    return tokenizer


def folder_tokenizer(folder: Path) -> PreTrainedTokenizerBase | None:
    """Load the tokenizer beside a model, without running code from its folder.

    Args:
        folder (Path): A folder of ``transformers``.

    Returns:
        PreTrainedTokenizerBase | None: None if there is no vocabulary, of which an empty tokenizer would be
        made.

    Raises:
        OSError: If it cannot be loaded.
    """
    if not any(list(folder.glob(pattern)) for pattern in VOCABULARIES):
        return None
    try:
        return AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except Exception as error:  # tokenizers fail in many ways; the cause is reported
        raise OSError(f'the tokenizer in {folder} cannot be loaded: {error!r}') from error


def load_decoder_tokenizer(name: str) -> tuple[PreTrainedTokenizerBase, int, int]:
    """Load a tokenizer of any kind for the captions of a decoder.

    Args:
        name (str): Name on the Hugging Face hub, or a local folder.

    Returns:
        tuple[PreTrainedTokenizerBase, int, int]: The tokenizer, and the ids of the start and end tokens:
        bos and eos, or cls and sep.

    Raises:
        OSError: If there is no such tokenizer, it has no words, or it needs code from its folder.
        ValueError: If it has neither pair of start and end tokens.

    Examples:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     _ = train_tokenizer(['a dog runs', 'a cat sleeps'], folder)
        ...     tokenizer, start, end = load_decoder_tokenizer(folder)  # or a name such as 'gpt2'
        >>> tokenizer.decode([start]), tokenizer.decode([end])
        ('<|startoftext|>', '<|endoftext|>')
    """
    advice = (
        f'no tokenizer in a local folder or on the hub: tokenizer={name!r}. Without a network, save '
        'one with AutoTokenizer.save_pretrained(FOLDER) elsewhere and give FOLDER; checkpoints of this '
        'version carry theirs'
    )

    tokenizer = _load(
        AutoTokenizer.from_pretrained, name, lambda loaded: num_words(loaded) > 0, DECODER, advice
    )
    if num_words(tokenizer) <= 0:  # a folder without vocabulary gives an empty tokenizer without an error
        raise OSError(
            f'{advice}. Cause: it has {len(tokenizer)} tokens, '
            f'{len(tokenizer) - num_words(tokenizer)} of them special ones, and so no word'
        )
    for start, end in (
        (tokenizer.bos_token_id, tokenizer.eos_token_id),
        (tokenizer.cls_token_id, tokenizer.sep_token_id),
    ):
        if start is not None and end is not None:
            return tokenizer, start, end
    raise ValueError(
        f'tokenizer={name!r} cannot mark the start and end of a caption: it has neither '
        'bos_token and eos_token nor cls_token and sep_token'
    )


def num_words(tokenizer: PreTrainedTokenizerBase) -> int:
    """Return the number of tokens that are not special."""
    return len(tokenizer) - len(set(tokenizer.all_special_tokens))


def _from_pretrained(name: str, **kwargs: Any) -> PreTrainedTokenizerBase:
    """Load a tokenizer of the class that its folder names, or else CLIP's."""
    try:
        tokenizer = _need_vocabulary(AutoTokenizer.from_pretrained, name, **kwargs)
        if num_words(tokenizer) > 0:
            return tokenizer
    except ImportError as error:  # SigLIP's tokenizer needs sentencepiece
        raise OSError(str(error)) from error
    except (OSError, ValueError, KeyError):
        pass  # CLIP's tokenizer needs only its vocabulary and merges, and reports what is missing
    return CLIPTokenizer.from_pretrained(name, **kwargs)


def _load(load: Callable, name: str, complete: Callable, role: str, advice: str) -> Any:
    """Load a tokenizer by its name, or the one of the checkpoint with the role.

    Raises:
        OSError: If both fail, with the advice and the cause.
    """
    saved = offered_tokenizer(role, name)
    if saved is not None and saved['name'] == name and not Path(name).is_dir():
        return use_clip_normalizer(unpack_tokenizer(saved))  # no need to ask the hub
    try:
        # Never run code from a tokenizer folder, and do not ask about it.
        load = functools.partial(_need_vocabulary, load)
        return use_clip_normalizer(load_named(load, name, complete, trust_remote_code=False))
    except (OSError, ValueError, ImportError) as error:
        if saved is None:
            raise OSError(f'{advice}. Cause: {error}') from error
        print_log(
            f"tokenizer={name!r} cannot be loaded, so the checkpoint's is used, once loaded as "
            f'{saved["name"]!r}. Cause: {error}',
            logger='current',
            level=logging.WARNING,
        )
        return use_clip_normalizer(unpack_tokenizer(saved))


def _need_vocabulary(load: Callable, name: str, **kwargs: Any) -> Any:
    """Load a tokenizer, and say what is missing where transformers 4 asks for protobuf or raises TypeError.

    Raises:
        OSError: If there is no file of a vocabulary, or one of another class of tokenizers, or from ``load``.
    """
    try:
        return load(name, **kwargs)
    except TypeError as error:
        if 'NoneType' in str(error):  # the path of the vocabulary was None
            raise OSError(f'{name!r} has no vocabulary') from error
        raise OSError(f'{name!r} has a vocabulary of another class: {error}') from error
    except ImportError as error:
        if isinstance(error.__context__, TypeError):  # the path of the vocabulary was None
            raise OSError(f'{name!r} has no vocabulary') from error
        raise


def train_tokenizer(captions: Iterable[str], folder: str | Path, vocab_size: int = 1000) -> CLIPTokenizer:
    """Train a tokenizer like CLIP's (lowercase byte-pair encoding) and save it.

    It is for models that are trained from scratch; a pretrained CLIP needs its own tokenizer. The ids are
    reproducible if ``vocab_size`` is large enough for each word of the captions to be one token.

    Args:
        captions (Iterable[str]): Training captions.
        folder (str | Path): Output folder, for :func:`load_tokenizer`.
        vocab_size (int): Maximum number of tokens, including special tokens and about 400 for single
            characters.

    Returns:
        CLIPTokenizer: The saved tokenizer.

    Examples:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     tokenizer = train_tokenizer(['a dog runs', 'a cat sleeps'], folder)
        >>> tokenizer.decode(tokenizer('A dog sleeps')['input_ids'], skip_special_tokens=True).strip()
        'a dog sleeps'
    """
    captions = [clean_caption(caption) for caption in captions]
    letters = [f'{letter} {letter}{letter}' for letter in string.printable]  # tokens for any ASCII word
    trained = create_tokenizer(EMPTY, []).train_new_from_iterator(
        captions + letters, vocab_size, show_progress=False
    )
    model = json.loads(trained.backend_tokenizer.to_str())['model']
    # The trainer breaks ties at random, which changes ids, so words of the captions get sorted ids.
    special = [trained.bos_token, trained.eos_token]
    words = sorted(
        {token for ids in trained(captions)['input_ids'] for token in trained.convert_ids_to_tokens(ids)}
        - set(special)
    )
    rest = sorted(set(model['vocab']) - set(special) - set(words))
    vocab = {token: i for i, token in enumerate(special + words + rest)}
    merges: Any = [tuple(merge) for merge in model['merges']]  # transformers does not declare pairs
    create_tokenizer(vocab, merges).save_pretrained(folder)
    return cast(CLIPTokenizer, load_tokenizer(str(folder)))

"""Tokenizers as plain data: compared by digests, carried by checkpoints."""

import hashlib
import json
import tempfile
import zlib
from pathlib import Path

import numpy as np
import torch
from transformers import AutoTokenizer, PreTrainedTokenizerBase

CAPTIONS, DECODER = 'captions', 'decoder'  # what a tokenizer is for: what CLIP reads, what a decoder writes
MAX_BYTES = 2**27  # of an unpacked file; CLIP's has 2 ** 21.7
FILES = ('.json', '.txt', '.model', '.spm', '.bpe', '.vocab')
# Each normalizer or word splitter that people use gives other ids for one of these.
PROBES = (
    "A man’s café isn't OPEN",
    ' two  spaces\tand\na line',
    'e\u0301 \u00c5 \ufb01 \u0130',
    '3.14, 10% (t-shirt)!',
    '日本語 ½ 😀 foo_bar',
)
_offered: dict[str, dict] = {}  # by what it is for


def vocabulary_digest(tokenizer: PreTrainedTokenizerBase) -> str:
    """Return a digest of every token and its id."""
    return _digest(sorted(tokenizer.get_vocab().items()))


def describe_tokenizer(tokenizer: PreTrainedTokenizerBase) -> dict:
    """Describe what decides on the ids of a caption, whatever the tokenizer was loaded from.

    Returns:
        dict: ``name`` that it was loaded by, ``kind`` (its class), ``size`` in tokens, ``start`` and ``end``
        ids, and digests: ``vocabulary``; ``merges`` of byte pairs, or the scores of a unigram model;
        ``probes``, the ids of a few strings, which change with normalization and splitting.
    """
    backend = getattr(tokenizer, 'backend_tokenizer', None)
    model = {} if backend is None else json.loads(backend.to_str())['model']
    merges = [
        merge.split(' ') if isinstance(merge, str) else list(merge) for merge in model.get('merges') or []
    ]
    scores = model.get('vocab') if isinstance(model.get('vocab'), list) else []
    return dict(
        name=str(tokenizer.name_or_path),
        kind=type(tokenizer).__name__,
        size=len(tokenizer),
        start=tokenizer.bos_token_id,
        end=tokenizer.eos_token_id,
        vocabulary=vocabulary_digest(tokenizer),
        merges=_digest([merges, scores]),
        probes=_digest([tokenizer(probe, truncation=False)['input_ids'] for probe in PROBES]),
    )


def tokenizer_differences(saved: dict, current: dict) -> str:
    """Say in what two descriptions differ, '' if captions get the same ids."""
    words = dict(vocabulary='other tokens or ids', merges='other merges', probes='other normalization')
    return ', '.join(
        text for key, text in words.items() if key in saved and key in current and saved[key] != current[key]
    )


def name_tokenizer(description: dict) -> str:
    """Name a described tokenizer in an error."""
    return (
        f'tokenizer={description.get("name")!r} ({description.get("size")} tokens, vocabulary '
        f'{str(description.get("vocabulary"))[:8]})'
    )


def pack_tokenizer(tokenizer: PreTrainedTokenizerBase) -> dict:
    """Turn a tokenizer into plain data for a checkpoint.

    CLIP's takes 0.6 MB, a thousandth of a checkpoint of ViT-B/32.

    Returns:
        dict: ``name``, and ``files``: compressed content by file name, tensors of uint8, which are read from
        the checkpoint only when they are needed.
    """
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save_pretrained(folder)
        files = {
            path.name: zlib.compress(path.read_bytes())
            for path in sorted(Path(folder).iterdir())
            if path.suffix in FILES
        }
    return dict(
        name=str(tokenizer.name_or_path),
        files={
            name: torch.from_numpy(np.frombuffer(content, np.uint8).copy()) for name, content in files.items()
        },
    )


def unpack_tokenizer(saved: dict) -> PreTrainedTokenizerBase:
    """Make the tokenizer of :func:`pack_tokenizer` again, without running anything that it says.

    Raises:
        OSError: If the data are none of a tokenizer.
    """
    try:
        with tempfile.TemporaryDirectory() as folder:
            for name, content in saved['files'].items():
                if Path(name).name != name or Path(name).suffix not in FILES:
                    raise ValueError(f'it has a file {name!r}')
                unpacker = zlib.decompressobj()
                data = unpacker.decompress(content.numpy().tobytes(), MAX_BYTES)
                if not unpacker.eof:
                    raise ValueError(f'{name} is cut, or has more than {MAX_BYTES} bytes')
                Path(folder, name).write_bytes(data)
            tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except Exception as error:  # odd data can fail in any way; the cause is reported
        raise OSError(f'the tokenizer in the checkpoint cannot be used: {error!r}') from error
    tokenizer.name_or_path = str(saved['name'])
    return tokenizer


def offer_tokenizers(saved: dict[str, dict]) -> None:
    """Let tokenizers that cannot be loaded by name come from a checkpoint, from now on in this process.

    Args:
        saved (dict[str, dict]): What :func:`pack_tokenizer` made, by what it is for. An earlier offer
            ends.
    """
    _offered.clear()
    _offered.update(saved)


def offered_tokenizer(role: str, name: str) -> dict | None:
    """Return the offer of that name, else that of ``'captions'`` or ``'decoder'``, None if there is none."""
    by_name = (saved for saved in _offered.values() if saved['name'] == name)
    return next(by_name, _offered.get(role))


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()

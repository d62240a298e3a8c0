"""Tokenizers as plain data: comparison by digests, and storage in checkpoints."""

import hashlib
import json
import tempfile
import zlib
from pathlib import Path

import numpy as np
import torch
from transformers import AutoTokenizer, PreTrainedTokenizerBase

CAPTIONS, DECODER = 'captions', 'decoder'  # roles: captions that CLIP reads, captions that a decoder writes
MAX_BYTES = 2**27  # limit of an unpacked file; CLIP's largest has 2 ** 21.7
FILES = ('.json', '.txt', '.model', '.spm', '.bpe', '.vocab')
# Texts for which common normalizers and word splitters give different ids.
PROBES = (
    "A man’s café isn't OPEN",
    ' two  spaces\tand\na line',
    'e\u0301 \u00c5 \ufb01 \u0130',
    '3.14, 10% (t-shirt)!',
    '日本語 ½ 😀 foo_bar',
)
_offered: dict[str, dict] = {}  # by role


def vocabulary_digest(tokenizer: PreTrainedTokenizerBase) -> str:
    """Return a digest of every token and its id."""
    return _digest(sorted(tokenizer.get_vocab().items()))


def describe_tokenizer(tokenizer: PreTrainedTokenizerBase) -> dict:
    """Describe everything that determines the ids of a caption, independent of the tokenizer's source.

    Returns:
        dict: ``name`` or path, ``kind`` (class name), ``size`` in tokens, ids of ``start`` and ``end``, and
        three digests: ``vocabulary``; ``merges`` of byte pairs, or scores of a unigram model; and
        ``probes``, the ids of a few texts, which depend on normalization and splitting.
    """
    backend = getattr(tokenizer, 'backend_tokenizer', None)
    model = {} if backend is None else json.loads(backend.to_str())['model']
    merges = [
        merge.split(' ') if isinstance(merge, str) else list(merge) for merge in model.get('merges') or []
    ]
    scores = model.get('vocab') if isinstance(model.get('vocab'), list) else []
    return dict(
        name=str(tokenizer.name_or_path),
        kind=type(tokenizer).__name__.removesuffix('Fast'),  # of transformers 4
        size=len(tokenizer),
        start=tokenizer.bos_token_id,
        end=tokenizer.eos_token_id,
        vocabulary=vocabulary_digest(tokenizer),
        merges=_digest([merges, scores]),
        probes=_digest([tokenizer(probe, truncation=False)['input_ids'] for probe in PROBES]),
    )


def tokenizer_differences(saved: dict, current: dict) -> str:
    """Return how two descriptions differ, '' if captions get the same ids."""
    words = dict(vocabulary='other tokens or ids', merges='other merges', probes='other normalization')
    return ', '.join(
        text for key, text in words.items() if key in saved and key in current and saved[key] != current[key]
    )


def name_tokenizer(description: dict) -> str:
    """Format a description for an error message."""
    return (
        f'tokenizer={description.get("name")!r} ({description.get("size")} tokens, vocabulary '
        f'{str(description.get("vocabulary"))[:8]})'
    )


def pack_tokenizer(tokenizer: PreTrainedTokenizerBase) -> dict:
    """Convert a tokenizer to plain data for a checkpoint.

    CLIP's tokenizer takes 0.6 MB, a thousandth of a ViT-B/32 checkpoint.

    Returns:
        dict: ``name``, and ``files`` with the compressed content by file name, as tensors of uint8.
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
    """Restore a tokenizer from :func:`pack_tokenizer` without running code from it.

    Raises:
        OSError: If the data are not a valid tokenizer.
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
    """Register the tokenizers of a checkpoint for loading, in this process.

    They are used for tokenizers that cannot be loaded by name.

    Args:
        saved (dict[str, dict]): Output of :func:`pack_tokenizer` by role. It replaces earlier offers.
    """
    _offered.clear()
    _offered.update(saved)


def offered_tokenizer(role: str, name: str) -> dict | None:
    """Return the offered tokenizer of that name, or else of that role, or None."""
    by_name = (saved for saved in _offered.values() if saved['name'] == name)
    return next(by_name, _offered.get(role))


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()

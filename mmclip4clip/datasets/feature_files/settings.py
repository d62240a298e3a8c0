"""What made the features of a folder, as a JSON file in it."""

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from ...atomic_file import atomic_file

FORMAT = 1
FILE = 'features.json'
MOST_SHARDS = 10**5  # their names have five digits
PARTS = ('frames', 'video', 'text', 'tokens')


class FeatureMismatchError(ValueError):
    """Raised if features were made with other settings than those that are needed."""


@dataclass(frozen=True)
class FeatureSettings:
    """Settings of an extraction. Those that change nothing in the files are not compared.

    Args:
        split (str): ``'train'``, ``'val'`` or ``'test'``.
        parts (list[str]): Stored parts, some of ``frames``, ``video``, ``text`` and ``tokens``.
        dtype (str): ``'float32'`` or ``'float16'``.
        num_videos (int): Number V of videos.
        shard_size (int): Number of videos in each shard but the last.
        batch_size (int): Number of videos that were encoded at once.
        ann_file (str): Name of the annotation file, without its folder.
        content (str): Digest of videos, windows, captions and groups.
        caption_mode (str): ``'all'`` or ``'paragraph'``.
        preprocessing (dict): Sampling, frames and captions, see :func:`describe_pipeline`.
        tokenizer (dict, optional): Description of the tokenizer.
        normalization (dict): Mean and standard deviation of the pixels.
        encoder (str): Digest of the weights of the encoder.
        adapter (str): Class of the adapter.
        head (str, optional): Digest of the weights of the adapter, if its features are stored.
        width (int): Width D of the features.
        fp16 (bool): Whether the encoder ran in mixed precision.
        seed (int): Seed of random transforms.
        logit_scale (float): Logarithm of the factor between similarity and logits.
        logit_scale_key (str): Its name in a checkpoint.
        max_logit_scale (float, optional): Bound of the factor in training.
        clip_config (dict, optional): Config of the encoder.
        token_merging (list[int]): Number of patches that each block of the vision tower merges.
        checkpoint (str, optional): Checkpoint of the encoder.

    Examples:
        >>> made = dict(parts=['frames'], dtype='float32', num_videos=9, shard_size=4, batch_size=2)
        >>> made |= dict(ann_file='test.json', content='c', caption_mode='all', preprocessing={})
        >>> made |= dict(tokenizer=None, normalization={}, encoder='ab', adapter='MeanAdapter', head=None)
        >>> made |= dict(width=8, fp16=False, seed=0, logit_scale=4.6, logit_scale_key='logit_scale')
        >>> one, other = FeatureSettings(split='test', **made), FeatureSettings(split='val', **made)
        >>> one.num_shards, one.differences(other)
        (3, ["split: 'test' -> 'val'"])
    """

    split: str
    parts: list[str]
    dtype: str
    num_videos: int
    shard_size: int
    batch_size: int
    ann_file: str
    content: str
    caption_mode: str
    preprocessing: dict[str, Any]
    tokenizer: dict[str, Any] | None
    normalization: dict[str, Any]
    encoder: str
    adapter: str
    head: str | None
    width: int
    fp16: bool
    seed: int
    logit_scale: float = field(metadata=dict(compared=False))
    logit_scale_key: str = field(metadata=dict(compared=False))
    max_logit_scale: float | None = field(default=None, metadata=dict(compared=False))
    token_merging: list[int] = field(default_factory=list)
    clip_config: dict[str, Any] | None = field(default=None, metadata=dict(compared=False))
    checkpoint: str | None = field(default=None, metadata=dict(compared=False))

    @property
    def num_shards(self) -> int:
        """Number of shards."""
        return -(-self.num_videos // self.shard_size)

    def differences(self, other: 'FeatureSettings') -> list[str]:
        """List the settings that would give other files, each with both values."""
        lines: list[str] = []
        for entry in fields(self):
            old, new = getattr(self, entry.name), getattr(other, entry.name)
            if entry.metadata.get('compared', True) and old != new:
                lines += _differences(entry.name, old, new)
        return lines

    def write(self, folder: Path) -> None:
        """Write the settings into a folder."""
        with atomic_file(folder / FILE) as file:
            file.write(json.dumps(dict(format=FORMAT, **asdict(self)), indent=1).encode())


def _differences(name: str, old: Any, new: Any) -> list[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        keys = [key for key in {**old, **new} if old.get(key) != new.get(key)]
        return [line for key in keys for line in _differences(f'{name}.{key}', old.get(key), new.get(key))]
    return [f'{name}: {old!r} -> {new!r}']


def read_settings(folder: Path) -> FeatureSettings:
    """Read the settings of a folder of features.

    Raises:
        FileNotFoundError: If the folder does not exist, or contains no features.
        ValueError: If the file is damaged, or of a later version.
    """
    path = Path(folder) / FILE
    if not path.is_file():
        state = f'has no {FILE}' if path.parent.is_dir() else 'does not exist'
        raise FileNotFoundError(
            f'there are no features in {path.parent}: the folder {state}. Extract them with: python '
            'tools/extract_features.py CONFIG CHECKPOINT --out FOLDER --split SPLIT, which fills FOLDER/SPLIT'
        )
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
        version = content.pop('format')
        if not isinstance(version, int) or version > FORMAT:
            raise ValueError(f'format {version!r}, this mmclip4clip knows {FORMAT}: update it')
        names = {entry.name for entry in fields(FeatureSettings)}
        settings = FeatureSettings(**{key: value for key, value in content.items() if key in names})
        if settings.num_videos < 1 or settings.shard_size < 1:
            raise ValueError('num_videos and shard_size must be at least 1')
        if settings.num_shards > MOST_SHARDS:
            raise ValueError(f'{settings.num_shards} shards, expected at most {MOST_SHARDS}')
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f'{path} is no settings of features, or damaged: {error!r}') from error
    return settings

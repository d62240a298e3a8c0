"""The configs that are there, each read once for all tests, which leave it as it is."""

import functools
from pathlib import Path

from mmengine.config import Config

ROOT = Path(__file__).parents[1]
LEAVES = sorted((ROOT / 'configs').glob('[!_]*/**/*.py'))
RETRIEVAL = ROOT / 'configs/retrieval/clip4clip'
PUBLISHED = 'clip4clip_vit-base-p32-res224-clip-pre_8xb16-u12-5e_msrvtt-9k-rgb.py'


@functools.cache
def load(path: Path) -> Config:
    """Read a config."""
    return Config.fromfile(path)


def difference(one, other, key='') -> dict:
    """What a config has that another has not, by dotted key."""
    if isinstance(one, dict) and isinstance(other, dict):
        keys = sorted({*one, *other})
        return {
            k: v
            for name in keys
            for k, v in difference(one.get(name), other.get(name), f'{key}.{name}'.strip('.')).items()
        }
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = zip(one, other, strict=True)
        return {k: v for i, pair in enumerate(pairs) for k, v in difference(*pair, f'{key}.{i}').items()}
    return {} if one == other else {key: one}

"""What a user can load a model from: a checkpoint, a dual encoder, or a config."""

from pathlib import Path
from typing import TypeAlias

from mmengine.config import Config

from .config_migration import read_config
from .model_list import config_path

ENDINGS = ('.pth', '.pt', '.ckpt', '.bin', '.safetensors')
AnyConfig: TypeAlias = str | Path | Config | dict


def find_checkpoint(source: str | Path) -> Path | None:
    """Return the path of a checkpoint; None if the source is a dual encoder or the name of a config.

    Raises:
        FileNotFoundError: If it looks like a file that does not exist.
        ValueError: If it is a folder without a dual encoder, or a config.
    """
    text, path = str(source), Path(source).expanduser()
    if path.suffix == '.py':
        raise ValueError(f'{text} is a config: give its checkpoint, as load(CHECKPOINT, config={text!r})')
    if path.is_file():
        return path
    if path.is_dir():
        if not (path / 'config.json').is_file():
            inside = sorted(file.name for file in path.glob('*.pth'))
            hint = f': give one of its checkpoints, {", ".join(inside[-3:])}' if inside else ''
            raise ValueError(f'the folder {text} has no config.json of a dual encoder{hint}')
        return None
    if path.suffix in ENDINGS or '://' in text or text.count('/') > 1 or text.startswith(('.', '/', '~')):
        raise FileNotFoundError(f'the checkpoint {text} does not exist')
    return None


def read_any_config(config: AnyConfig) -> Config:
    """Return a copy of a config, from a file, by name, or as it is.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If no config has this name.
    """
    if isinstance(config, (str, Path)):
        is_file = str(config).endswith('.py') or Path(config).is_file()
        return read_config(str(config if is_file else config_path(str(config))))
    return Config(config.to_dict() if isinstance(config, Config) else dict(config))

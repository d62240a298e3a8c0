import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path

from mmengine.logging import print_log

from ...checkpoint_file import CheckpointFileError, verify_checkpoint
from ...checkpoint_reading import map_checkpoint

LAST = 'last_checkpoint'  # file in the work dir that names the newest checkpoint
TEMPLATES = ('epoch_{}.pth', 'iter_{}.pth')


def checkpoint_folder(work_dir: str, out_dir: str | Path | None = None) -> str:
    """Return the folder of a run's checkpoints: the work dir, or a folder of the same name in ``out_dir``.

    Examples:
        >>> from mmclip4clip.engine.resume import checkpoint_folder
        >>> checkpoint_folder('work_dirs/run1'), checkpoint_folder('work_dirs/run1', '/data')
        ('work_dirs/run1', '/data/run1')
    """
    if out_dir is None or str(out_dir) == work_dir:
        return work_dir
    return os.path.join(str(out_dir), os.path.basename(work_dir.rstrip(os.sep)))


def find_checkpoint(
    work_dir: str, out_dir: str | Path | None = None, filename_tmpl: str | None = None
) -> str | None:
    """Find the newest checkpoint that a run can resume from.

    The checkpoint in ``last_checkpoint`` is tried first, then older ones, the newest first. Only the file
    name in ``last_checkpoint`` is used, so a copied or moved folder does not resume from its previous
    location. Missing and damaged checkpoints are skipped with a warning.

    Args:
        work_dir (str): Folder of the run.
        out_dir (str | Path, optional): Argument of mmengine's ``CheckpointHook``.
        filename_tmpl (str, optional): Argument of mmengine's ``CheckpointHook``, tried in addition to
            ``epoch_{}.pth`` and ``iter_{}.pth``.

    Returns:
        str | None: The path, None if there is no checkpoint.

    Raises:
        CheckpointFileError: If there are checkpoints but none can be resumed. A new run would overwrite them.

    Examples:
        >>> import tempfile
        >>> import torch
        >>> from mmclip4clip.engine.resume import find_checkpoint
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for epoch in (9, 10):
        ...         content = dict(meta=dict(iter=epoch), state_dict={}, optimizer={})
        ...         torch.save(content, f'{folder}/epoch_{epoch}.pth')
        ...     os.path.basename(find_checkpoint(folder))
        'epoch_10.pth'
    """
    folder = checkpoint_folder(work_dir, out_dir)
    templates = dict.fromkeys([filename_tmpl or TEMPLATES[0], *TEMPLATES])
    last = _read_last(Path(work_dir, LAST))
    if '://' in folder:  # not on a disk: mmengine reads the file and reports errors
        return f'{folder}/{last}' if last else None
    if last and not Path(folder, last).exists():
        _warn(f'{Path(work_dir, LAST)} refers to {last}, which does not exist in {folder}')
    found = False
    for path in _candidates(Path(folder), last, templates):
        found = True
        try:
            verify_checkpoint(path)
            if 'optimizer' not in _read_keys(path):
                raise CheckpointFileError(f'{path} contains no optimizer state')
            return os.path.join(folder, path.name)
        except (CheckpointFileError, OSError) as error:
            _warn(f'cannot resume from {path}: {error}')
    if found:
        raise CheckpointFileError(
            f'none of the checkpoints in {folder} can be resumed; the log states the reasons. To start a new '
            'training, use another --work-dir, remove the checkpoints, or omit --resume'
        )
    return None


def read_meta(path: str | Path) -> dict:
    """Read the metadata of a checkpoint without its tensors.

    Raises:
        CheckpointFileError: If the file cannot be read or has no metadata.
    """
    meta = _read_keys(path).get('meta')
    if not isinstance(meta, dict):
        raise CheckpointFileError(f"{path} has no metadata (key 'meta')")
    return meta


def _read_keys(path: str | Path) -> dict:
    """Read a checkpoint, but leave its tensors in the file."""
    content = map_checkpoint(path)
    if not isinstance(content, dict):
        raise CheckpointFileError(f'{path} contains a {type(content).__name__}, expected a dict')
    return content


def _read_last(file: Path) -> str | None:
    """Return the file name of the last checkpoint of the run, None if it is unknown."""
    try:
        text = file.read_text(errors='replace').strip()
    except FileNotFoundError:
        return None
    if not text.strip('\0'):
        _warn(f'{file} is empty, perhaps because a run was killed while it saved a checkpoint')
        return None
    return re.split(r'[/\\]', text)[-1]


def _candidates(folder: Path, last: str | None, templates) -> Iterator[Path]:
    """Yield the files to try, except those that are ahead of the last one, which belong to another run."""
    if last and (folder / last).is_file():
        yield folder / last
    others = []
    for template in templates:
        pattern = re.compile(re.escape(template).replace(re.escape('{}'), r'(\d+)'))
        named = pattern.fullmatch(last or '')
        for path in folder.iterdir() if folder.is_dir() else ():
            number = pattern.fullmatch(path.name)
            if number and path.name != last and not (named and int(number[1]) > int(named[1])):
                others.append(path)
    yield from sorted(dict.fromkeys(others), key=_progress, reverse=True)


def _progress(path: Path) -> tuple:
    """Return a sort key: the iterations of a checkpoint, -1 if it cannot be read, then its time."""
    try:
        return read_meta(path).get('iter', -1), path.stat().st_mtime
    except (CheckpointFileError, OSError):
        return -1, path.stat().st_mtime


def _warn(message: str) -> None:
    print_log(message, logger='current', level=logging.WARNING)

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
    """Return where a run saves its checkpoints: the work dir, or the folder of its name in ``out_dir``."""
    if out_dir is None or str(out_dir) == work_dir:
        return work_dir
    return os.path.join(str(out_dir), os.path.basename(work_dir.rstrip(os.sep)))


def find_checkpoint(
    work_dir: str, out_dir: str | Path | None = None, filename_tmpl: str | None = None
) -> str | None:
    """Find the newest checkpoint of a run from which it can go on.

    The one that ``last_checkpoint`` names comes first, then those before it, the furthest first. Of what it
    says only the file name counts, so that a run whose folder was copied or moved does not go on from where
    it was before. A checkpoint that is missing or damaged is left out with a warning.

    Args:
        work_dir (str): Folder of the run.
        out_dir (str | Path, optional): As for mmengine's ``CheckpointHook``.
        filename_tmpl (str, optional): Likewise, if it is another than ``epoch_{}.pth`` and ``iter_{}.pth``.

    Returns:
        str | None: The path, None if there is no checkpoint.

    Raises:
        CheckpointFileError: If there are some, and none can be resumed; a new run would overwrite them.
    """
    folder = checkpoint_folder(work_dir, out_dir)
    templates = dict.fromkeys([filename_tmpl or TEMPLATES[0], *TEMPLATES])
    last = _read_last(Path(work_dir, LAST))
    if '://' in folder:  # not on a disk: mmengine reads it as a whole, and says what is wrong
        return f'{folder}/{last}' if last else None
    if last and not Path(folder, last).exists():
        _warn(f'{Path(work_dir, LAST)} names {last}, which is not in {folder}')
    found = False
    for path in _candidates(Path(folder), last, templates):
        found = True
        try:
            verify_checkpoint(path)
            if 'optimizer' not in _read_keys(path):
                raise CheckpointFileError(f'{path} holds no state of an optimizer')
            return os.path.join(folder, path.name)
        except (CheckpointFileError, OSError) as error:
            _warn(f'not resumed from {path}: {error}')
    if found:
        raise CheckpointFileError(
            f'there are checkpoints in {folder}, and none of them can be resumed from; the log says why. To '
            'begin anew, give another --work-dir, remove them, or leave out --resume'
        )
    return None


def read_meta(path: str | Path) -> dict:
    """Read what a checkpoint says about itself, without reading its tensors.

    Raises:
        CheckpointFileError: If it cannot be read, or says nothing.
    """
    meta = _read_keys(path).get('meta')
    if not isinstance(meta, dict):
        raise CheckpointFileError(f'{path} says nothing about itself: it has no meta')
    return meta


def _read_keys(path: str | Path) -> dict:
    """Read a checkpoint with its tensors left in the file."""
    content = map_checkpoint(path)
    if not isinstance(content, dict):
        raise CheckpointFileError(f'{path} holds a {type(content).__name__}, expected a dict')
    return content


def _read_last(file: Path) -> str | None:
    """Return the file name of the checkpoint that the run saved last, None if nothing says it."""
    try:
        text = file.read_text(errors='replace').strip()
    except FileNotFoundError:
        return None
    if not text.strip('\0'):
        _warn(f'{file} is empty: a run that was killed while it saved may have left it')
        return None
    return re.split(r'[/\\]', text)[-1]


def _candidates(folder: Path, last: str | None, templates) -> Iterator[Path]:
    """Yield the files to try, without those that another run left and that are ahead of the last one."""
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
    """Return how far a checkpoint is: its iterations, or what its name says if it cannot be read."""
    try:
        return read_meta(path).get('iter', -1), path.stat().st_mtime
    except (CheckpointFileError, OSError):
        return -1, path.stat().st_mtime


def _warn(message: str) -> None:
    print_log(message, logger='current', level=logging.WARNING)

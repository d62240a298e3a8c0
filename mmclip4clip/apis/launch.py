"""Common parts of tools/train.py and tools/test.py."""

import argparse
import os
import tempfile
from pathlib import Path

import torch.distributed as dist
from mmengine.config import Config, DictAction
from mmengine.logging import print_log

from ..checkpoint_file import verify_checkpoint
from ..compat import apply_patches
from ..engine.resume import find_checkpoint
from ..file_lock import lock_work_dir
from .arguments import add_arguments
from .clip_choice import use_clip
from .config_keys import warn_of_misspelt_keys
from .config_migration import join_report_hooks, read_config, rename_options
from .config_options import parse_options
from .run_guards import use_guards, use_resumable_parts, use_safe_checkpoints
from .visual_backends import add_visual_backends

RANKS = dict(pytorch='RANK', slurm='SLURM_PROCID', mpi='OMPI_COMM_WORLD_RANK')  # by launcher


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the common options of training and testing, which are those of OpenMMLab's tools.

    Examples:
        >>> from mmclip4clip.apis import add_common_arguments
        >>> parser = argparse.ArgumentParser()
        >>> add_common_arguments(parser)
        >>> parser.parse_args(['--seed', '1', '--cfg-options', 'train_cfg.max_epochs=2']).cfg_options
        {'train_cfg.max_epochs': 2}
    """
    add_arguments(parser, options=DictAction)


def load_config(args: argparse.Namespace) -> Config:
    """Read the config, override it with the command line, and add the hooks that guard a run.

    Args:
        args (argparse.Namespace): ``config`` and the options of :func:`add_common_arguments`.

    Raises:
        FileNotFoundError: If the config does not exist.
        ValueError: If ``clip`` cannot be applied, or an option is for a list of schedulers that the config no
            longer has.
        OSError: If the work dir cannot be written.
        ImportError: If the package of ``--tensorboard`` or ``--wandb`` is not installed.

    Examples:
        >>> from mmclip4clip.apis import add_common_arguments, load_config
        >>> parser = argparse.ArgumentParser()
        >>> _ = parser.add_argument('config')
        >>> add_common_arguments(parser)
        >>> cfg = load_config(parser.parse_args(['config.py', '--seed', '1']))  # doctest: +SKIP
        >>> cfg.randomness  # doctest: +SKIP
        {'seed': 1}
    """
    apply_patches()
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg = read_config(args.config)
    options = rename_options(cfg, parse_options(args.cfg_options))
    if options:
        cfg.merge_from_dict(options)
    warn_of_misspelt_keys(cfg, options)
    join_report_hooks(cfg)
    use_clip(cfg)
    cfg.launcher = args.launcher
    add_visual_backends(cfg, getattr(args, 'tensorboard', False), getattr(args, 'wandb', None))
    use_resumable_parts(cfg)
    use_guards(cfg)
    use_safe_checkpoints(cfg)
    cfg.work_dir = args.work_dir or cfg.get('work_dir') or str(Path('work_dirs') / Path(args.config).stem)
    check_work_dir(Path(cfg.work_dir))
    randomness = dict(cfg.get('randomness') or {})
    if args.seed is not None:
        randomness['seed'] = args.seed
    for flag in ('deterministic', 'diff_rank_seed'):
        if getattr(args, flag):
            randomness[flag] = True
    cfg.randomness = randomness or dict(seed=None)
    if randomness.get('deterministic'):  # cuBLAS needs it, and reads it only when it starts
        os.environ.setdefault('CUBLAS_WORKSPACE_CONFIG', ':4096:8')
    return cfg


def set_checkpoint(cfg: Config, resume: str | None) -> None:
    """Choose the checkpoint that a training starts from: the newest one, a given one, or ``load_from``.

    Args:
        cfg (Config): Config with ``work_dir``. Its ``resume`` and ``load_from`` are set.
        resume (str, optional): ``'auto'`` for the newest checkpoint in the work dir, the path of a
            checkpoint, or None to use the settings of the config.

    Examples:
        >>> from mmclip4clip.apis import set_checkpoint
        >>> cfg = Config(dict(work_dir='work_dirs/new', resume=False, load_from='clip.pth'))
        >>> set_checkpoint(cfg, resume=None)
        >>> cfg.resume, cfg.load_from
        (False, 'clip.pth')
    """
    if resume == 'auto' or not resume and cfg.get('resume') and not cfg.get('load_from'):
        hook = (cfg.get('default_hooks') or {}).get('checkpoint') or {}
        latest = find_checkpoint(cfg.work_dir, hook.get('out_dir'), hook.get('filename_tmpl'))
        cfg.resume, cfg.load_from = latest is not None, latest or cfg.get('load_from')
        start = f'{cfg.load_from} (load_from)' if cfg.load_from else 'the weights of the config'
        print_log(
            f'resuming from {latest}'
            if latest
            else f'{cfg.work_dir} has no checkpoint to resume: a new training starts from {start}',
            logger='current',
        )
    elif resume:
        if '://' not in resume:
            verify_checkpoint(resume)
        cfg.resume, cfg.load_from = True, resume


def lock_for_training(cfg: Config) -> None:
    """Lock the work dir against a second training before anything is written.

    Only the first of several processes acquires the lock.

    Raises:
        WorkDirInUseError: If another training has locked the work dir.

    Examples:
        >>> import tempfile
        >>> from mmclip4clip.apis import lock_for_training
        >>> from mmclip4clip.file_lock import release_work_dir
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     lock_for_training(Config(dict(work_dir=folder, launcher='none')))
        ...     release_work_dir(folder)
    """
    if int(os.environ.get(RANKS.get(cfg.launcher, ''), 0)) == 0:
        lock_work_dir(cfg.work_dir)


def leave_processes() -> None:
    """Wait for all processes and close the connections to them.

    The first process may still be drawing pictures. If a process exits while others are connected to it, the
    threads of gloo may abort it.

    Examples:
        >>> from mmclip4clip.apis import leave_processes
        >>> leave_processes()  # without a process group, it does nothing
    """
    if dist.is_available() and dist.is_initialized():
        dist.barrier()
        dist.destroy_process_group()


def check_work_dir(folder: Path) -> None:
    """Create the work dir and check that it can be written.

    Raises:
        OSError: If it cannot be written, with the folder and the reason.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise OSError(
            f'the work dir {folder} cannot be written: {error}; use another one with --work-dir'
        ) from error

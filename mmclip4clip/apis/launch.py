"""What tools/train.py and tools/test.py have in common."""

import argparse
import os
import tempfile
from pathlib import Path

import torch.distributed as dist
from mmengine.config import Config, DictAction
from mmengine.hooks import CheckpointHook
from mmengine.logging import print_log
from mmengine.runner import EpochBasedTrainLoop

from ..checkpoint_file import verify_checkpoint
from ..compat import apply_patches
from ..engine.resume import find_checkpoint
from ..file_lock import lock_work_dir
from .clip_choice import class_name, use_clip
from .config_migration import join_report_hooks, read_config, rename_options

MMENGINE_HOOKS = ('runtime_info', 'timer', 'sampler_seed', 'logger', 'param_scheduler', 'checkpoint')
MMENGINE_LOOPS = ('EpochBasedTrainLoop', 'mmengine.EpochBasedTrainLoop', EpochBasedTrainLoop)
MMENGINE_CHECKPOINT_HOOKS = ('CheckpointHook', 'mmengine.CheckpointHook', CheckpointHook)
# What default_runtime.py has, so that configs which do not inherit it are guarded too.
GUARDS = dict(
    work_dir_lock='WorkDirLockHook',
    random_states='RandomStateHook',
    non_finite_guard='NonFiniteGuardHook',
    stop_signal='StopSignalHook',
    bad_videos='BadVideoHook',
    video_check='VideoCheckHook',
    architecture_check='ArchitectureCheckHook',
    input_check='InputCheckHook',
    preprocessing_check='PreprocessingCheckHook',
)
RANKS = dict(pytorch='RANK', slurm='SLURM_PROCID', mpi='OMPI_COMM_WORLD_RANK')  # by launcher


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags that training and testing share, as OpenMMLab's tools have them."""
    parser.add_argument('--work-dir', help='folder for logs, checkpoints and reports')
    parser.add_argument('--seed', type=int, help='random seed; wins over the config')
    parser.add_argument('--deterministic', action='store_true', help='use deterministic algorithms only')
    parser.add_argument('--diff-rank-seed', action='store_true', help='give every process another seed')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        help='settings that replace those of the config, as key=value; lists as '
        'key="[a,b]", nested keys with dots',
    )
    parser.add_argument(
        '--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none', help='job launcher'
    )
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)


def load_config(args: argparse.Namespace) -> Config:
    """Read the config and let the command line win over it.

    Args:
        args (argparse.Namespace): ``config`` and the flags of :func:`add_common_arguments`.

    Raises:
        FileNotFoundError: If there is no such config.
        ValueError: If ``clip`` cannot be applied, or an option belongs to a list of schedulers that the
            config does not have any more.
        OSError: If the work dir cannot be written.
    """
    apply_patches()
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg = read_config(args.config)
    if args.cfg_options:
        cfg.merge_from_dict(rename_options(cfg, args.cfg_options))
    join_report_hooks(cfg)
    use_clip(cfg)
    cfg.launcher = args.launcher
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
    if randomness.get('deterministic'):  # cuBLAS needs it, and reads it only at its start
        os.environ.setdefault('CUBLAS_WORKSPACE_CONFIG', ':4096:8')
    return cfg


def use_resumable_parts(cfg: Config) -> None:
    """Replace mmengine's loop over epochs by ours, which takes the same arguments and resumes exactly."""
    loop = cfg.get('train_cfg') or dict(by_epoch=False)
    if loop.get('by_epoch', True) and loop.get('type', 'EpochBasedTrainLoop') in MMENGINE_LOOPS:
        loop.pop('by_epoch', None)
        loop['type'] = 'ResumableTrainLoop'


def use_guards(cfg: Config) -> None:
    """Add the hooks that guard a run where a config does not inherit them; ``NAME=None`` leaves one out."""
    hooks = cfg.get('default_hooks') or {}
    present = {_name_of_hook(hook) for hook in [*hooks.values(), *(cfg.get('custom_hooks') or [])]}
    if 'tokenizer_check' in hooks:  # as it was called before
        hooks.pop('preprocessing_check', None)
        present.add(GUARDS['preprocessing_check'])
    added = {
        name: dict(type=kind) for name, kind in GUARDS.items() if name not in hooks and kind not in present
    }
    if added:
        cfg.default_hooks = {**hooks, **added}
        print_log(
            f'the config has no default_hooks {", ".join(added)}: they are added; NAME=None in '
            'default_hooks leaves one out',
            logger='current',
        )


def _name_of_hook(hook: object) -> str:
    """Return the class name of a hook, or of what a config has in its place."""
    name = class_name(hook) if isinstance(hook, dict) else type(hook).__name__
    return GUARDS['preprocessing_check'] if name == 'TokenizerCheckHook' else name


def use_safe_checkpoints(cfg: Config) -> None:
    """Replace mmengine's checkpoint hooks by ours, with their arguments, and drop hooks that are None."""
    hooks = cfg.get('default_hooks') or {}
    for name in [name for name, hook in hooks.items() if hook is None and name not in MMENGINE_HOOKS]:
        hooks.pop(name)  # mmengine takes None for its own hooks alone
    hooks.setdefault('checkpoint', dict(type='CheckpointHook', interval=1))  # mmengine's default
    cfg.default_hooks = hooks  # a copy, if the config had none
    for hook in [cfg.default_hooks['checkpoint'], *(cfg.get('custom_hooks') or [])]:
        if isinstance(hook, dict) and hook.get('type') in MMENGINE_CHECKPOINT_HOOKS:
            hook['type'] = 'SafeCheckpointHook'
            print_log(
                'CheckpointHook in the config is replaced by SafeCheckpointHook, with its arguments',
                logger='current',
            )


def set_checkpoint(cfg: Config, resume: str | None) -> None:
    """Choose what a training begins from: its newest checkpoint, one that is named, or ``load_from``.

    Args:
        cfg (Config): With ``work_dir``; its ``resume`` and ``load_from`` are set.
        resume (str, optional): ``'auto'`` for the newest checkpoint of the work dir, a file, or None for what
            the config says.
    """
    if resume == 'auto' or not resume and cfg.get('resume') and not cfg.get('load_from'):
        hook = (cfg.get('default_hooks') or {}).get('checkpoint') or {}
        latest = find_checkpoint(cfg.work_dir, hook.get('out_dir'), hook.get('filename_tmpl'))
        cfg.resume, cfg.load_from = latest is not None, latest or cfg.get('load_from')
        start = f'{cfg.load_from} (load_from)' if cfg.load_from else 'the weights of the config'
        print_log(
            f'resuming from {latest}'
            if latest
            else f'{cfg.work_dir} has no checkpoint to resume: the training begins anew, from {start}',
            logger='current',
        )
    elif resume:
        if '://' not in resume:
            verify_checkpoint(resume)
        cfg.resume, cfg.load_from = True, resume


def lock_for_training(cfg: Config) -> None:
    """Keep a second training out of the work dir, before anything of this one is written.

    Raises:
        WorkDirInUseError: If another training has it. Of several processes, the first one asks.
    """
    if int(os.environ.get(RANKS.get(cfg.launcher, ''), 0)) == 0:
        lock_work_dir(cfg.work_dir)


def leave_processes() -> None:
    """Wait for all processes, as the first may still be drawing, and part from them.

    A process that ends while others still have connections to it may be aborted
    by gloo's threads at its exit.
    """
    if dist.is_available() and dist.is_initialized():
        dist.barrier()
        dist.destroy_process_group()


def check_work_dir(folder: Path) -> None:
    """Create the work dir, and find out now whether it can be written.

    Raises:
        OSError: Naming the folder and the reason.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise OSError(
            f'the work dir {folder} cannot be written: {error}; choose another one with --work-dir'
        ) from error

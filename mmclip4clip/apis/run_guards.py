"""Replace the loops and hooks of a config by those that guard a run, and add those that it lacks."""

from mmengine.config import Config
from mmengine.hooks import CheckpointHook
from mmengine.logging import print_log
from mmengine.runner import EpochBasedTrainLoop

from .clip_choice import class_name

MMENGINE_HOOKS = ('runtime_info', 'timer', 'sampler_seed', 'logger', 'param_scheduler', 'checkpoint')
MMENGINE_LOOPS = ('EpochBasedTrainLoop', 'mmengine.EpochBasedTrainLoop', EpochBasedTrainLoop)
MMENGINE_CHECKPOINT_HOOKS = ('CheckpointHook', 'mmengine.CheckpointHook', CheckpointHook)
# Hooks of default_runtime.py, which are added to configs that do not inherit it.
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


def use_resumable_parts(cfg: Config) -> None:
    """Replace mmengine's epoch-based loop with ``ResumableTrainLoop``, which has the same arguments."""
    loop = cfg.get('train_cfg') or dict(by_epoch=False)
    if loop.get('by_epoch', True) and loop.get('type', 'EpochBasedTrainLoop') in MMENGINE_LOOPS:
        loop.pop('by_epoch', None)
        loop['type'] = 'ResumableTrainLoop'


def use_guards(cfg: Config) -> None:
    """Add the hooks that guard a run if the config does not have them; ``NAME=None`` disables one."""
    hooks = cfg.get('default_hooks') or {}
    present = {_name_of_hook(hook) for hook in [*hooks.values(), *(cfg.get('custom_hooks') or [])]}
    if 'tokenizer_check' in hooks:  # former name
        hooks.pop('preprocessing_check', None)
        present.add(GUARDS['preprocessing_check'])
    added = {
        name: dict(type=kind) for name, kind in GUARDS.items() if name not in hooks and kind not in present
    }
    if added:
        cfg.default_hooks = {**hooks, **added}
        print_log(
            f'added default_hooks that the config does not have: {", ".join(added)}; NAME=None in '
            'default_hooks disables one',
            logger='current',
        )


def _name_of_hook(hook: object) -> str:
    """Return the class name of a hook or of its config."""
    name = class_name(hook) if isinstance(hook, dict) else type(hook).__name__
    return GUARDS['preprocessing_check'] if name == 'TokenizerCheckHook' else name


def use_safe_checkpoints(cfg: Config) -> None:
    """Replace mmengine's checkpoint hooks with ``SafeCheckpointHook``, and remove hooks that are None."""
    hooks = cfg.get('default_hooks') or {}
    for name in [name for name, hook in hooks.items() if hook is None and name not in MMENGINE_HOOKS]:
        hooks.pop(name)  # mmengine accepts None only for its own hooks
    hooks.setdefault('checkpoint', dict(type='CheckpointHook', interval=1))  # mmengine's default
    cfg.default_hooks = hooks  # a copy, if the config had none
    for hook in [cfg.default_hooks['checkpoint'], *(cfg.get('custom_hooks') or [])]:
        if isinstance(hook, dict) and hook.get('type') in MMENGINE_CHECKPOINT_HOOKS:
            hook['type'] = 'SafeCheckpointHook'
            print_log(
                'CheckpointHook in the config is replaced with SafeCheckpointHook, with the same arguments',
                logger='current',
            )

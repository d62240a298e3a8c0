"""The settings that ``strategy`` of a config goes with."""

from collections.abc import Iterator

from mmengine.config import Config

from ..engine.strategies import ResumableFSDPStrategy
from .clip_choice import class_name

FSDP = ('FSDPStrategy', ResumableFSDPStrategy.__name__)
WRAPPERS = ('OptimWrapper', 'AmpOptimWrapper')


def use_fsdp(cfg: Config) -> None:
    """Check the config of a training with ``FSDPStrategy``, and let it be the one that resumes.

    Args:
        cfg (Config): Config with ``strategy``, whose ``type`` is changed in place.

    Raises:
        ValueError: If the strategy is another one, or a setting does not go with it; names the key.
    """
    strategy = cfg.get('strategy')
    name = class_name(strategy) if isinstance(strategy, dict) else str(strategy)
    if name == 'DeepSpeedStrategy':
        raise ValueError(
            "strategy.type='DeepSpeedStrategy' is not supported: mmengine shows its checkpoints to no hook, "
            'so that they could not be checked or resumed exactly, and DeepSpeed fails for numbers such as '
            "the logit scale. Use strategy=dict(type='FSDPStrategy'), which divides weights, gradients and "
            "the optimizer's state as well"
        )
    if name not in FSDP:
        raise ValueError(
            f"strategy must be dict(type='FSDPStrategy', ...), got {name!r}; for all other trainings, remove "
            "runner_type and strategy: mmengine's Runner trains in one process and in several"
        )
    problems = list(_problems(cfg))
    if problems:
        raise ValueError(f'strategy {name} cannot be used with these settings:\n  ' + '\n  '.join(problems))
    strategy['type'] = FSDP[1]


def _problems(cfg: Config) -> Iterator[str]:
    """Yield each setting that does not go with FSDP, with the reason."""
    wrapper, model = cfg.get('optim_wrapper') or {}, cfg.get('model') or {}
    optimizer = wrapper.get('optimizer') or {}
    if (cfg.get('launcher') or 'none') == 'none':
        yield 'launcher: there is one process; start several with tools/dist_train.sh or --launcher'
    if wrapper.get('type', WRAPPERS[0]) not in WRAPPERS:
        yield f'optim_wrapper.type={wrapper.get("type")!r}: it must be OptimWrapper or AmpOptimWrapper'
    if wrapper.get('clip_grad'):
        yield 'optim_wrapper.clip_grad: each process would clip its part of the gradients by itself'
    if wrapper.get('accumulative_counts', 1) != 1:
        yield 'optim_wrapper.accumulative_counts: it must be 1'
    if optimizer.get('type') == 'BertAdam':
        yield 'optim_wrapper.optimizer.type=BertAdam: it clips the gradient of each tensor, which are divided'
    if cfg.get('compile'):
        yield 'compile: the blocks of the model are wrapped by FSDP, which gathers their weights in Python'
    if cfg.get('model_wrapper_cfg'):
        yield 'model_wrapper_cfg: its settings belong in strategy.model_wrapper'
    if (cfg.strategy.get('model_wrapper') or {}).get('use_orig_params', True) is not True:
        yield (
            'strategy.model_wrapper.use_orig_params: it must be True, because the parameters of a block have '
            'rates and weight decays of their own'
        )
    hooks = [*(cfg.get('default_hooks') or {}).values(), *(cfg.get('custom_hooks') or [])]
    if any(isinstance(hook, dict) and class_name(hook) == 'EMAHook' for hook in hooks):
        yield 'custom_hooks: EMAHook copies and saves only the part of the weights that a process has'
    if model.get('micro_batch_size') is not None:
        yield (
            'model.micro_batch_size: the processes gather the weights of a block together, but may have '
            'different numbers of parts; use model.backbone.gradient_checkpointing'
        )
    if model.get('decoder') is not None:
        yield 'model.decoder: captions of different lengths would let processes wait for each other'
    if (cfg.get('val_cfg') or {}).get('query_bank') is not None:
        yield 'val_cfg.query_bank: its captions are encoded outside of forward; use it in tools/test.py'

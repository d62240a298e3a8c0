from typing import Any

from mmaction.registry import OPTIM_WRAPPER_CONSTRUCTORS
from mmengine.logging import print_log
from mmengine.optim import DefaultOptimWrapperConstructor
from torch import nn

BACKBONE = 'backbone.'
NORMS = (nn.LayerNorm, nn.GroupNorm, nn.modules.batchnorm._NormBase)
DEFAULTS = dict(clip_lr_mult=1.0, head_lr_mult=1.0, no_decay=('bias', 'norm'))
KINDS = ('bias', 'norm', 'logit_scale')


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class CLIPGroupsOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """Set separate learning rates for CLIP and the heads, and select the parameters that decay.

    mmengine's default constructor cannot do both: if one of its ``custom_keys`` sets a rate, its rules for
    norms and biases are ignored. There are up to four groups in this order: CLIP's parameters with decay,
    CLIP's without decay, and the same two for the heads. So ``lr`` in mmengine's log is CLIP's rate, and
    ``base_lr`` the rate of the optimizer's config. Frozen parameters are left out.

    Args:
        optim_wrapper_cfg (dict): Config of the wrapper. Its ``optimizer`` must have ``lr`` and
            ``weight_decay``.
        paramwise_cfg (dict, optional): ``clip_lr_mult`` is a factor on ``lr`` for the parameters
            of the backbone, and ``head_lr_mult`` for all others; both are 1 by default. ``no_decay`` lists
            the parameters without decay: ``'bias'`` (with bias in the name), ``'norm'`` (weights and biases
            of norms) and ``'logit_scale'``, by default the first two.

    Raises:
        ValueError: If an argument is missing, unknown or invalid, or if the model has no parameters under
            ``backbone``.

    Examples:
        >>> optim_wrapper = dict(  # in a config
        ...     optimizer=dict(type='AdamW', lr=1e-4, weight_decay=0.2),
        ...     constructor='CLIPGroupsOptimWrapperConstructor',
        ...     paramwise_cfg=dict(clip_lr_mult=0.1))
    """

    paramwise_cfg: dict[str, Any]

    def _validate_cfg(self) -> None:
        unknown = sorted(set(self.paramwise_cfg) - set(DEFAULTS))
        if unknown:
            raise ValueError(f'paramwise_cfg may have the keys {sorted(DEFAULTS)}, got {unknown}')
        if self.base_lr is None or self.base_wd is None:
            raise ValueError(
                f'optim_wrapper.optimizer must have lr and weight_decay, got {sorted(self.optimizer_cfg)}'
            )
        # Not empty, because mmengine would then put all parameters into one group.
        self.paramwise_cfg = {**DEFAULTS, **self.paramwise_cfg}
        no_decay = self.paramwise_cfg['no_decay']
        if isinstance(no_decay, str) or not set(no_decay) <= set(KINDS):
            raise ValueError(f'paramwise_cfg.no_decay must be a list of some of {KINDS}, got {no_decay!r}')

    def add_params(
        self,
        params: list[dict],
        module: nn.Module,
        prefix: str = '',
        is_dcn_module: int | float | None = None,
    ) -> None:
        """Append the groups of the model to ``params``, and log each."""
        if not any(name.startswith(BACKBONE) for name, _ in module.named_parameters()):
            raise ValueError(
                f'{type(module).__name__} has no parameters under {BACKBONE[:-1]}, which '
                'CLIPGroupsOptimWrapperConstructor separates from the heads'
            )
        in_norms = {
            id(parameter)
            for part in module.modules()
            if isinstance(part, NORMS)
            for parameter in part.parameters(recurse=False)
        }
        groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
        for name, parameter in module.named_parameters():
            kinds = dict(
                bias='bias' in name, norm=id(parameter) in in_norms, logit_scale=name.endswith('logit_scale')
            )
            decays = not any(kinds[kind] for kind in self.paramwise_cfg['no_decay'])
            if parameter.requires_grad:
                groups.setdefault((name.startswith(BACKBONE), decays), []).append(parameter)
        for clip, decays in sorted(groups, reverse=True):
            lr = self.base_lr * self.paramwise_cfg['clip_lr_mult' if clip else 'head_lr_mult']
            group = dict(params=groups[clip, decays], lr=lr, weight_decay=decays * self.base_wd)
            params.append(group)
            print_log(
                f'{"CLIP" if clip else "heads"}: {len(group["params"])} tensors with lr {lr:g} and '
                f'weight_decay {group["weight_decay"]:g}',
                logger='current',
            )

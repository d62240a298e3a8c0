import math

from mmaction.registry import PARAM_SCHEDULERS
from mmengine.optim import _ParamScheduler
from mmengine.optim.scheduler.lr_scheduler import LRSchedulerMixin
from mmengine.optim.scheduler.param_scheduler import INF


@PARAM_SCHEDULERS.register_module()
class WarmUpCosineLR(LRSchedulerMixin, _ParamScheduler):
    r"""Warm up linearly, keep the full rate for a while, then follow a cosine down to 0.

    Let w be the number of warm-up steps, b the begin and e the end of the cosine, and s ``start_factor``.
    Step k, counted from 0, has the factor

    - :math:`s + (1 - s)\, k / (w - 1)` for k < w,
    - 1 for w <= k < b,
    - :math:`(1 + \cos(\pi\, (k - \lfloor b \rfloor) / (e - b))) / 2` for b <= k < e; then it is constant.

    The rates are bit-identical to those of a list of :class:`WarmUpLR` and mmengine's ``CosineAnnealingLR``
    with ``T_max`` = e - b. Checkpoints that were saved with such a list can be resumed, see
    :func:`mmclip4clip.engine.resume.join_schedules`.

    Args:
        optimizer (Optimizer | OptimWrapper): Optimizer whose learning rates are scheduled.
        warmup (float): Length of the warm-up in epochs, or in iterations with ``by_epoch=False``. It lasts at
            least two steps, so that very short epochs reach the full rate too. 0 disables it.
        end (float): End of the cosine, in the same unit. By default mmengine's runner sets it to the length
            of the training.
        start_factor (float): Factor on the rate in the first step.
        cosine_begin (float, optional): Begin of the cosine, in the same unit; by default the end of the
            warm-up.
        last_step (int): Argument of mmengine's schedulers.
        by_epoch (bool): Whether a step is an epoch. In configs, ``convert_to_iter_based=True`` allows lengths
            in epochs with steps of one iteration.
        verbose (bool): Argument of mmengine's schedulers.

    Raises:
        ValueError: If ``warmup``, ``cosine_begin`` or ``start_factor`` is out of range, or ``end`` is not
            given.

    Examples:
        >>> import torch
        >>> from mmclip4clip.engine import WarmUpCosineLR
        >>> optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.)
        >>> scheduler = WarmUpCosineLR(optimizer, warmup=2, end=6, start_factor=.5, by_epoch=False)
        >>> rates = []
        >>> for _ in range(6):
        ...     rates.append(round(scheduler.get_last_value()[0], 2))
        ...     optimizer.step()
        ...     scheduler.step()
        >>> rates
        [0.5, 1.0, 1.0, 0.85, 0.5, 0.15]
    """

    def __init__(
        self,
        optimizer,
        warmup: float,
        end: float = INF,
        start_factor: float = 0.05,
        cosine_begin: float | None = None,
        last_step: int = -1,
        by_epoch: bool = True,
        verbose: bool = False,
    ) -> None:
        cosine_begin = warmup if cosine_begin is None else cosine_begin
        if end == INF:
            raise ValueError('WarmUpCosineLR needs end, the number of epochs or iterations')
        if warmup < 0:
            raise ValueError(f'WarmUpCosineLR needs warmup >= 0, got {warmup}')
        if not 0 <= int(cosine_begin) < int(end):
            raise ValueError(
                'WarmUpCosineLR needs cosine_begin (by default warmup) from 0 to below end, got '
                f'{cosine_begin} and end={end}'
            )
        if not 0 < start_factor <= 1:
            raise ValueError(f'WarmUpCosineLR needs start_factor above 0 and at most 1, got {start_factor}')
        self.warmup = max(int(warmup), 2) if warmup else 0
        self.start_factor = start_factor
        self.cosine_begin = cosine_begin  # not rounded, because it determines the length of the cosine
        super().__init__(optimizer, end=int(end), last_step=last_step, by_epoch=by_epoch, verbose=verbose)

    @classmethod
    def build_iter_from_epoch(
        cls, *args, warmup, end=INF, cosine_begin=None, by_epoch=True, epoch_length, **kwargs
    ):
        """Build from numbers of epochs, which may be fractions; see mmengine's ``LinearLR``."""
        cosine_begin = warmup if cosine_begin is None else cosine_begin
        kwargs.update(
            warmup=warmup * epoch_length,
            end=end if end == INF else end * epoch_length,
            cosine_begin=cosine_begin * epoch_length,
            by_epoch=False,
        )
        return cls(*args, **kwargs)

    def _get_value(self) -> list[float]:
        # Compute each rate from the previous one, as mmengine does. The closed form differs in the last bits,
        # so earlier trainings with two schedules would not be reproduced exactly.
        factor, step, rise = 1.0, self.last_step, 1 - self.start_factor
        if step == 0 and self.warmup:
            factor = self.start_factor
        elif step < self.warmup:
            factor = 1.0 + rise / ((self.warmup - 1) * self.start_factor + (step - 1) * rise)
        values = [group[self.param_name] * factor for group in self.optimizer.param_groups]
        step, length = step - int(self.cosine_begin), self.end - self.cosine_begin
        if step > 0:
            now, before = (1 + math.cos(math.pi * k / length) for k in (step, step - 1))
            values = [now / before * value for value in values]
        return values

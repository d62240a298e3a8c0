import math

from mmaction.registry import PARAM_SCHEDULERS
from mmengine.optim import _ParamScheduler
from mmengine.optim.scheduler.lr_scheduler import LRSchedulerMixin
from mmengine.optim.scheduler.param_scheduler import INF


@PARAM_SCHEDULERS.register_module()
class RawCosineLR(LRSchedulerMixin, _ParamScheduler):
    r"""Warm up linearly, then follow a cosine that starts with the warm-up, not after it.

    This is the schedule of CLIP4Clip's reference implementation, ``warmup_cosine`` in BERT's original code.
    Step k of K, counted from 0, has the progress x = k / K. The factor on the learning rate is
    x / ``warmup`` for x < ``warmup``, and :math:`(1 + \cos \pi x) / 2` afterwards. So the rate is 0 in the
    first step, jumps down at the end of the warm-up (to 0.976 of its peak with ``warmup=0.1``), and is just
    above 0 in the last step.

    Args:
        optimizer (Optimizer | OptimWrapper): Optimizer whose learning rates are scheduled.
        warmup (float): Share of the steps that belong to the warm-up.
        begin (int): First step of the schedule.
        end (int): Step after the last one. By default mmengine's runner sets it to the length of the
            training.
        **kwargs: Arguments of mmengine's schedulers.

    Raises:
        ValueError: If ``warmup`` is out of range, or ``end`` is not given.

    Examples:
        >>> import torch
        >>> from mmclip4clip.engine import RawCosineLR
        >>> optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.)
        >>> scheduler = RawCosineLR(optimizer, warmup=0.5, end=4, by_epoch=False)
        >>> rates = []
        >>> for _ in range(4):
        ...     rates.append(round(scheduler.get_last_value()[0], 2))
        ...     optimizer.step()
        ...     scheduler.step()
        >>> rates
        [0.0, 0.5, 0.5, 0.15]
    """

    def __init__(self, optimizer, warmup: float = 0.1, begin: int = 0, end: int = INF, **kwargs) -> None:
        if not 0 <= warmup < 1:
            raise ValueError(f'RawCosineLR needs warmup from 0 to below 1, got {warmup}')
        if end == INF:
            raise ValueError('RawCosineLR needs end, the number of epochs or iterations')
        self.warmup = warmup
        super().__init__(optimizer, begin=begin, end=end, **kwargs)

    @classmethod
    def build_iter_from_epoch(cls, *args, begin=0, end=INF, by_epoch=True, epoch_length, **kwargs):
        """Build from numbers of epochs, which may be fractions; see mmengine's ``LinearLR``."""
        end = end if end == INF else int(end * epoch_length)
        kwargs.update(begin=int(begin * epoch_length), end=end, by_epoch=False)
        return cls(*args, **kwargs)

    def _get_value(self) -> list[float]:
        progress = self.last_step / (self.end - self.begin)
        cosine = (1 + math.cos(math.pi * progress)) / 2
        factor = progress / self.warmup if progress < self.warmup else cosine
        return [value * factor for value in self.base_values]

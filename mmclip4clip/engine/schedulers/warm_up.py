from mmaction.registry import PARAM_SCHEDULERS
from mmengine.optim import LinearLR


@PARAM_SCHEDULERS.register_module()
class WarmUpLR(LinearLR):
    """Linear warm-up that also supports very short epochs.

    mmengine's ``LinearLR`` fails if a fraction of an epoch rounds to zero iterations, as half an epoch does
    with few videos, and keeps its start factor if it rounds to one. This scheduler then lasts two iterations,
    the second at the full rate.

    Examples:
        >>> param_scheduler = [  # in a config
        ...     dict(type='WarmUpLR', start_factor=0.05, end=0.5, convert_to_iter_based=True)]
    """

    @classmethod
    def build_iter_from_epoch(cls, *args, begin=0, end, epoch_length, **kwargs):
        """Build from numbers of epochs, which may be fractions; see mmengine's ``LinearLR``."""
        iterations = max(int(end * epoch_length), int(begin * epoch_length) + 2)
        return super().build_iter_from_epoch(
            *args, begin=begin, end=(iterations + 0.5) / epoch_length, epoch_length=epoch_length, **kwargs
        )

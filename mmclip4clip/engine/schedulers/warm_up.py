from mmaction.registry import PARAM_SCHEDULERS
from mmengine.optim import LinearLR


@PARAM_SCHEDULERS.register_module()
class WarmUpLR(LinearLR):
    """A linear warm-up that also fits epochs of one iteration.

    mmengine's ``LinearLR`` fails where a fraction of an epoch rounds to no
    iteration, as half an epoch does with few videos, and never leaves its start
    where it rounds to one. This one lasts two then, the second at the full rate.
    """

    @classmethod
    def build_iter_from_epoch(cls, *args, begin=0, end, epoch_length, **kwargs):
        """Build from epochs, which may be fractions; see mmengine's ``LinearLR``."""
        iterations = max(int(end * epoch_length), int(begin * epoch_length) + 2)
        return super().build_iter_from_epoch(
            *args, begin=begin, end=(iterations + 0.5) / epoch_length, epoch_length=epoch_length, **kwargs
        )

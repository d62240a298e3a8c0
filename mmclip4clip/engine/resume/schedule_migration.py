import logging
import math

from mmengine.logging import print_log

from ..schedulers import WarmUpCosineLR
from .run_check import KEY

# Keys of the states: what one schedule takes over from the cosine, and what tells a warm-up and a cosine.
SHARED = {'end', 'by_epoch', 'base_values', '_global_step', '_last_value'}
WARM_UP = {'param_name', 'by_epoch', 'begin', 'start_factor', 'end_factor', 'total_iters'}
COSINE = {'param_name', 'begin', 'T_max', 'eta_min', 'eta_min_ratio'} | SHARED


def join_schedules(schedulers, checkpoint: dict, name: str) -> None:
    """Let a checkpoint of a training with a list of two schedulers go on with one :class:`WarmUpCosineLR`.

    Where the two are a warm-up and a cosine that the one can follow, their states become its own. Whether the
    numbers are equal is then compared as in any other checkpoint. All else is left as it is.

    Args:
        schedulers (list | dict | None): The schedulers of the training that goes on.
        checkpoint (dict): What was read, not yet loaded; changed in place.
        name (str): The file, for the log.
    """
    if not isinstance(schedulers, list) or [type(one) for one in schedulers] != [WarmUpCosineLR]:
        return
    states = checkpoint.get('param_schedulers') if isinstance(checkpoint, dict) else None
    state = _join(schedulers[0], *states) if isinstance(states, list) and len(states) == 2 else None
    if state is None:
        return
    checkpoint['param_schedulers'] = [state]
    run = ((checkpoint.get('meta') or {}).get(KEY) or {}).get('run')
    if run and 'schedulers' in run:
        run['schedulers'] = [WarmUpCosineLR.__name__]
    print_log(
        f'{name} was saved with two schedulers, a warm-up and a cosine: WarmUpCosineLR goes on from them',
        logger='current',
        level=logging.WARNING,
    )


def _join(scheduler: WarmUpCosineLR, warm_up: dict, cosine: dict) -> dict | None:
    """Return the state of one schedule that has done what two have done, or None if it cannot follow them."""
    if not (
        isinstance(warm_up, dict)
        and isinstance(cosine, dict)
        and WARM_UP.issubset(warm_up)
        and COSINE.issubset(cosine)
    ):
        return None
    cosine_begin = cosine['end'] - cosine['T_max']
    follows = (
        warm_up['param_name'] == cosine['param_name'] == 'lr'
        and warm_up['by_epoch'] == cosine['by_epoch']
        and warm_up['begin'] == 0
        and warm_up['end_factor'] == 1
        and not cosine['eta_min']
        and not cosine['eta_min_ratio']
    )
    if math.isclose(cosine_begin, scheduler.cosine_begin, abs_tol=1e-6):
        cosine_begin = scheduler.cosine_begin  # T_max was typed, and may be another float
    if not follows or int(cosine_begin) != cosine['begin']:
        return None
    return dict(
        scheduler.state_dict(),
        warmup=warm_up['total_iters'] + 1,
        start_factor=warm_up['start_factor'],
        cosine_begin=cosine_begin,
        last_step=min(cosine['_global_step'], cosine['end'] - 1),
        **{key: cosine[key] for key in SHARED},
    )

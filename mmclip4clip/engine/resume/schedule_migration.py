import logging
import math

from mmengine.logging import print_log

from ..schedulers import WarmUpCosineLR
from .run_check import KEY

# Keys in the states of schedulers. SHARED are copied from the cosine to the joined schedule; the others
# identify a warm-up and a cosine.
SHARED = {'end', 'by_epoch', 'base_values', '_global_step', '_last_value'}
WARM_UP = {'param_name', 'by_epoch', 'begin', 'start_factor', 'end_factor', 'total_iters'}
COSINE = {'param_name', 'begin', 'T_max', 'eta_min', 'eta_min_ratio'} | SHARED


def join_schedules(schedulers, checkpoint: dict, name: str) -> None:
    """Convert the states of a warm-up and a cosine in a checkpoint into one of :class:`WarmUpCosineLR`.

    Only a warm-up and a cosine that the new schedule can continue are converted. :func:`check_resumable` then
    compares their settings as for other checkpoints. Other schedulers are not changed.

    Args:
        schedulers (list | dict | None): Schedulers of the training that resumes.
        checkpoint (dict): Content of the checkpoint, changed in place.
        name (str): Path of the checkpoint, for the log.

    Examples:
        >>> from mmclip4clip.engine.resume import join_schedules
        >>> checkpoint = dict(param_schedulers=[dict(gamma=0.1)])
        >>> join_schedules(None, checkpoint, 'epoch_1.pth')  # no warm-up and cosine, so nothing changes
        >>> checkpoint
        {'param_schedulers': [{'gamma': 0.1}]}
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
        f'{name} was saved with two schedulers, a warm-up and a cosine: WarmUpCosineLR continues them',
        logger='current',
        level=logging.WARNING,
    )


def _join(scheduler: WarmUpCosineLR, warm_up: dict, cosine: dict) -> dict | None:
    """Return the state of one schedule that continues two, or None if it cannot."""
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
        cosine_begin = scheduler.cosine_begin  # T_max was written by hand, and may be rounded
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

from .best_checkpoint import bring_best_checkpoint
from .checkpoint_search import checkpoint_folder, find_checkpoint
from .evaluations import evaluation_is_missing
from .joined_schedules import join_schedules
from .run_check import check_resumable, describe_run

__all__ = [
    'bring_best_checkpoint',
    'check_resumable',
    'checkpoint_folder',
    'describe_run',
    'evaluation_is_missing',
    'find_checkpoint',
    'join_schedules',
]

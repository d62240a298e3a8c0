from .best_checkpoint import bring_best_checkpoint
from .checkpoint_search import checkpoint_folder, find_checkpoint
from .missing_evaluation import evaluation_is_due, evaluation_is_missing
from .run_check import check_resumable
from .run_description import describe_run
from .schedule_migration import join_schedules

__all__ = [
    'bring_best_checkpoint',
    'check_resumable',
    'checkpoint_folder',
    'describe_run',
    'evaluation_is_due',
    'evaluation_is_missing',
    'find_checkpoint',
    'join_schedules',
]

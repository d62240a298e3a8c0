import torch
from mmaction.registry import HOOKS
from mmengine.dist import get_rank, is_main_process
from mmengine.hooks import Hook

from ...random_states import get_random_states, seed_everything, set_random_states

KEY = 'random_states'  # in a checkpoint
STEP = 1  # distinguishes the seed of a step from that of a data item


@HOOKS.register_module()
class RandomStateHook(Hook):
    """Make the random numbers of a training depend only on its seed, step and process.

    Each training step is seeded with these three numbers. As a result, dropout is the same with any number of
    data workers, and in a run that was stopped and resumed. The random states are restored after an
    evaluation. Each checkpoint contains the random states of the main process and the sampler seed, which are
    restored when the run resumes.

    Examples:
        >>> default_hooks = dict(random_states=dict(type='RandomStateHook'))
    """

    priority = 'VERY_HIGH'

    def __init__(self) -> None:
        self._resumed: dict | None = None
        self._before_val: dict | None = None

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Keep the states until training starts, because mmengine sets the seed again before that."""
        self._resumed = checkpoint.get(KEY) if runner._resume and isinstance(checkpoint, dict) else None

    def before_train(self, runner) -> None:
        """Restore the random states of a resumed run."""
        if self._resumed is None:
            return
        if self._resumed['sampler_seed'] is not None:  # a run without a fixed seed has just drawn another one
            _sampler(runner).seed = self._resumed['sampler_seed']
        if is_main_process():
            set_random_states(self._resumed['main_process'])

    def before_train_iter(self, runner, batch_idx: int, data_batch: dict | None = None) -> None:
        """Seed the step."""
        seed_everything(runner.seed, runner.iter, get_rank(), STEP)
        if torch.cuda.is_available():
            torch.cuda.manual_seed_all(torch.initial_seed())

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """Add the states of the main process, which saves the checkpoint."""
        checkpoint[KEY] = dict(
            main_process=get_random_states(), sampler_seed=getattr(_sampler(runner), 'seed', None)
        )

    def before_val(self, runner) -> None:
        """Store the random states."""
        self._before_val = get_random_states()

    def after_val(self, runner) -> None:
        """Restore the random states."""
        if self._before_val is not None:
            set_random_states(self._before_val)


def _sampler(runner):
    """Return the sampler of the training data, which may be inside a batch sampler."""
    loader = runner.train_dataloader
    return getattr(loader.batch_sampler, 'sampler', None) or loader.sampler

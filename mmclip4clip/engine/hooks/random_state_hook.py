import torch
from mmaction.registry import HOOKS
from mmengine.dist import get_rank, is_main_process
from mmengine.hooks import Hook

from ...random_states import get_random_states, seed_everything, set_random_states

KEY = 'random_states'  # in a checkpoint
STEP = 1  # tells a step's random numbers from those of an item of the data


@HOOKS.register_module()
class RandomStateHook(Hook):
    """Make what a training draws independent of everything but its seed, its step and its process.

    Each training step is seeded with these three. So dropout is the same with any number of data workers, and
    in a run that was stopped and resumed. An evaluation leaves the random numbers as they were. The states of
    the main process, and the seed of the sampler, are saved in each checkpoint and restored by a resume.
    """

    priority = 'VERY_HIGH'

    def __init__(self) -> None:
        self._resumed: dict | None = None
        self._before_val: dict | None = None

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Keep the states until the training begins: mmengine seeds once more in between."""
        self._resumed = checkpoint.get(KEY) if runner._resume and isinstance(checkpoint, dict) else None

    def before_train(self, runner) -> None:
        """Restore what a resumed run had drawn from."""
        if self._resumed is None:
            return
        if self._resumed['sampler_seed'] is not None:  # a run without a seed has drawn another one just now
            _sampler(runner).seed = self._resumed['sampler_seed']
        if is_main_process():
            set_random_states(self._resumed['main_process'])

    def before_train_iter(self, runner, batch_idx: int, data_batch: dict | None = None) -> None:
        """Seed the step."""
        seed_everything(runner.seed, runner.iter, get_rank(), STEP)
        if torch.cuda.is_available():
            torch.cuda.manual_seed_all(torch.initial_seed())

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """Add the states of the main process, which is the one that saves."""
        checkpoint[KEY] = dict(
            main_process=get_random_states(), sampler_seed=getattr(_sampler(runner), 'seed', None)
        )

    def before_val(self, runner) -> None:
        """Remember the states."""
        self._before_val = get_random_states()

    def after_val(self, runner) -> None:
        """Put them back."""
        if self._before_val is not None:
            set_random_states(self._before_val)


def _sampler(runner):
    """Return the sampler of the training data, also from within a batch sampler."""
    loader = runner.train_dataloader
    return getattr(loader.batch_sampler, 'sampler', None) or loader.sampler

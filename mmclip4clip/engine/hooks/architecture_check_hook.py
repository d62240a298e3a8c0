import logging

from mmaction.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.runner.base_loop import BaseLoop

DECODER = 'decoder.'  # where CLIP4ClipCaptioner has what a retriever lacks


@HOOKS.register_module()
class ArchitectureCheckHook(Hook):
    """Refuse a checkpoint of another architecture.

    mmengine loads what fits and logs the rest, so a test with the wrong
    checkpoint would go on with random weights. Here testing and resuming need
    every key, neither missing nor left over, in the right shape. Training from
    ``load_from`` may miss keys, such as those of a new adapter, but shapes must
    fit and something must. A captioner's checkpoint may be tested for retrieval: its
    decoder is left over then, and the log says so. So it does where a captioner's encoder is
    frozen and nothing was loaded into it.
    """

    priority = 'LOW'  # before SafeCheckpointHook, whose check takes the model for granted

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Compare the checkpoint with the model.

        Raises:
            RuntimeError: Naming the first keys that are at fault.
        """
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        ours = {k: tuple(v.shape) for k, v in model.state_dict().items()}
        if not isinstance(checkpoint, dict):
            raise RuntimeError(f'the checkpoint {runner._load_from or ""} holds a '
                               f'{type(checkpoint).__name__}, expected a dict of weights')
        weights = checkpoint.get('state_dict', checkpoint)
        theirs = {k.removeprefix('module.'): tuple(v.shape) for k, v in weights.items()
                  if hasattr(v, 'shape')}
        shapes = [f'{k}: {theirs[k]} instead of {ours[k]}' for k in ours
                  if k in theirs and theirs[k] != ours[k]]
        problems = dict(shape=shapes)
        training = isinstance(runner._train_loop, BaseLoop)
        if runner._resume or not training or not set(ours) & set(theirs):
            problems['missing'] = [k for k in ours if k not in theirs]
            problems['unexpected'] = [k for k in theirs if k not in ours]
            self._check_decoder(runner, ours, theirs, problems)
        lines = [f'{len(keys)} keys of wrong shape' if kind == 'shape' else f'{len(keys)} {kind} keys'
                 for kind, keys in problems.items() if keys]
        if lines:
            first = [key for keys in problems.values() for key in keys[:3]]
            raise RuntimeError(
                f'the checkpoint {runner._load_from or ""} does not fit the model of this config: '
                + ', '.join(lines) + '; the first ones:\n  ' + '\n  '.join(first))

    def before_train(self, runner) -> None:
        """Warn of an encoder that is frozen before it has learnt anything."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        if getattr(model, 'freeze_encoder', False) and not runner._has_loaded:
            print_log('freeze_encoder=True and no checkpoint was loaded: the encoder stays as it was built, '
                      'and its adapter has learnt nothing. Give load_from=RETRIEVAL_CHECKPOINT',
                      logger='current', level=logging.WARNING)

    @staticmethod
    def _check_decoder(runner, ours: dict, theirs: dict, problems: dict) -> None:
        """Tell a model with a caption decoder from one without, where the checkpoint is the other kind."""
        need, have = (any(k.startswith(DECODER) for k in keys) for keys in (ours, theirs))
        name = runner._load_from or ''
        if need and not have and set(ours) & set(theirs):
            raise RuntimeError(
                f'the checkpoint {name} has no decoder (no key begins with {DECODER}), so it cannot write '
                'captions: it was trained for retrieval only. Train the decoder first: tools/train.py with '
                'this config and --cfg-options load_from=CHECKPOINT')
        if have and not need and not runner._resume:
            left = [k for k in problems['unexpected'] if k.startswith(DECODER)]
            print_log(f"the checkpoint {name} is a captioner's: the {len(left)} keys of its decoder are not "
                      'used', logger='current')
            problems['unexpected'] = [k for k in problems['unexpected'] if not k.startswith(DECODER)]

import logging

from mmaction.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.runner.base_loop import BaseLoop
from torch import Tensor

from ...models.weight_check import KeyDifference, compare_shared, compare_weights, components
from ..runner_access import whole_weights

DECODER = 'decoder.'  # prefix of the weights that CLIP4ClipCaptioner adds to a retriever


@HOOKS.register_module()
class ArchitectureCheckHook(Hook):
    """Reject checkpoints of another architecture, and incomplete checkpoints.

    mmengine loads matching keys and logs the others, so a run with the wrong checkpoint would continue with
    random weights. With this hook, testing and resuming require all keys in the right shape, and no
    unexpected ones. Training from ``load_from`` may lack whole components, such as the decoder or parts of a
    new adapter, and a warning lists them. A component must be complete if the checkpoint has any of it. The
    backbone may be missing only if its weights come from elsewhere.

    A captioner's checkpoint can be tested for retrieval. Its decoder is then unused, and the log says so. A
    warning is also logged if a captioner's encoder is frozen and no checkpoint was loaded.

    Examples:
        >>> default_hooks = dict(architecture_check=dict(type='ArchitectureCheckHook'))
    """

    priority = 'LOW'  # before SafeCheckpointHook, whose check assumes a matching model

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Compare the checkpoint with the model.

        Raises:
            RuntimeError: If keys are missing, unexpected or of another shape, with the first ones.
        """
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        name, expected = runner._load_from or '', whole_weights(runner)
        loaded = read_weights(name, checkpoint)
        if isinstance(runner._train_loop, BaseLoop) and not runner._resume and set(expected) & set(loaded):
            self._start_training(model, name, expected, loaded)
            return
        check_weights(name, expected, loaded, with_decoder=runner._resume)

    def _start_training(self, model, name: str, expected: dict, loaded: dict) -> None:
        """Load whole components, and warn about those that the checkpoint lacks.

        Raises:
            RuntimeError: If a component is incomplete, or the backbone would keep random weights.
        """
        _refuse(name, compare_shared(expected, loaded), loaded)
        need, have = components(expected), components(loaded)
        fresh, unused = (
            [f'{part} ({len(keys)} tensors)' for part, keys in these.items() if part not in there]
            for these, there in ((need, have), (have, need))
        )
        backbone = getattr(model, 'backbone', None)
        if (
            'backbone' in need
            and 'backbone' not in have
            and not (getattr(backbone, 'pretrained', None) or getattr(backbone, 'init_cfg', None))
        ):
            raise RuntimeError(
                f'the checkpoint {name} has no backbone (no key begins with backbone.), and neither '
                'backbone.pretrained nor backbone.init_cfg provides weights: it would start from random ones'
            )
        count = sum(len(keys) for part, keys in need.items() if part in have)
        print_log(
            f'{count} of the {len(expected)} tensors of the model are loaded from {name}', logger='current'
        )
        if fresh or unused:
            print_log(
                f'the checkpoint {name} and the model have different parts. Not in the checkpoint, so they '
                f'keep their initial weights: {", ".join(fresh) or "none"}. Not in the model, so they are '
                f'not used: {", ".join(unused) or "none"}',
                logger='current',
                level=logging.WARNING,
            )

    def before_train(self, runner) -> None:
        """Warn if the encoder is frozen and was never trained."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        if getattr(model, 'freeze_encoder', False) and not runner._has_loaded:
            print_log(
                'freeze_encoder=True and no checkpoint was loaded: the encoder keeps its initial weights, '
                'and its adapter is untrained. Set load_from=RETRIEVAL_CHECKPOINT',
                logger='current',
                level=logging.WARNING,
            )


def read_weights(name: str, checkpoint: object) -> dict[str, Tensor]:
    """Return the tensors of a checkpoint by name, without the prefix of distributed training.

    Args:
        name (str): The file, for the error message.
        checkpoint (object): Content of the file.

    Raises:
        RuntimeError: If the checkpoint is not a dict of weights.
    """
    weights = checkpoint.get('state_dict', checkpoint) if isinstance(checkpoint, dict) else checkpoint
    if not isinstance(weights, dict):
        raise RuntimeError(
            f'the checkpoint {name} contains a {type(weights).__name__}, expected a dict of weights'
        )
    return {k.removeprefix('module.'): v for k, v in weights.items() if hasattr(v, 'shape')}


def check_weights(name: str, expected: dict, loaded: dict, with_decoder: bool = False) -> None:
    """Check that a checkpoint has all weights of a model, and no others.

    Args:
        name (str): The file, for messages.
        expected (dict[str, Tensor]): State dict of the model.
        loaded (dict[str, Tensor]): The weights of the checkpoint.
        with_decoder (bool): Whether a captioner's decoder counts as well if the model has none.

    Raises:
        RuntimeError: If keys are missing, unexpected or of another shape, with the first ones.
    """
    if not with_decoder:
        loaded = _without_decoder(name, expected, loaded)
    _check_decoder(name, expected, loaded)
    _refuse(name, compare_weights(expected, loaded), loaded)
    print_log(
        f'the checkpoint {name} matches: all {len(expected)} tensors of the model are loaded',
        logger='current',
    )


def _check_decoder(name: str, expected: dict, loaded: dict) -> None:
    """Reject a retriever's checkpoint for a captioner."""
    need, have = (any(k.startswith(DECODER) for k in keys) for keys in (expected, loaded))
    if need and not have and set(expected) & set(loaded):
        raise RuntimeError(
            f'the checkpoint {name} has no decoder (no key begins with {DECODER}), so it cannot write '
            'captions: it was trained for retrieval only. Train the decoder first: tools/train.py with '
            'this config and --cfg-options load_from=CHECKPOINT'
        )


def _without_decoder(name: str, expected: dict, loaded: dict) -> dict:
    """Remove the decoder of a captioner's checkpoint that is tested for retrieval, and log it."""
    rest = {k: v for k, v in loaded.items() if not k.startswith(DECODER)}
    if len(rest) == len(loaded) or any(k.startswith(DECODER) for k in expected):
        return loaded
    print_log(
        f"the checkpoint {name} is a captioner's: the {len(loaded) - len(rest)} keys of its "
        'decoder are not used',
        logger='current',
    )
    return rest


def _refuse(name: str, difference: KeyDifference, loaded: dict) -> None:
    """Raise an error with the first differing keys, and a hint for checkpoints of other projects."""
    if difference:
        foreign = any(key.startswith(('clip.', 'visual.', 'text_model.')) for key in loaded)
        advice = '\nIf it comes from another project, tools/model_converters/convert.py converts it' * foreign
        raise RuntimeError(
            f'the checkpoint {name} does not match the model of this config: {difference}{advice}'
        )

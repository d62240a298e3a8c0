import hashlib
import json
from typing import Iterator

from mmaction.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper

from ...datasets.transforms import TokenizeCaptions, TokenizeTargets
from ...datasets.video_caption_dataset import all_steps

KEY = 'decoder_vocabulary'  # of a captioner's checkpoint


@HOOKS.register_module()
class TokenizerCheckHook(Hook):
    """See that a captioner writes in the words that it learns and has learnt.

    Token ids of two tokenizers look alike, and a decoder of one would go on with the words of the other
    without an error. So before training, the pipeline must have the tokenizer of the model, CLIP's if the
    decoder is tied to CLIP's embeddings; and a captioner's checkpoint holds a digest of its vocabulary, which
    is compared when it is loaded. Checkpoints without one are taken as they are. Models that do not write
    are not looked at.
    """

    def before_train(self, runner) -> None:
        """Compare the tokenizers of the training pipeline with the model's.

        Raises:
            ValueError: Naming both.
        """
        model = _captioner(runner)
        if model is None:
            return
        for transforms in _pipelines(runner.train_dataloader.dataset):
            reads, writes = (_tokenizer(transforms, kind) for kind in (TokenizeCaptions, TokenizeTargets))
            learnt = reads if writes is None else writes
            if learnt is not None and _digest(learnt) != _digest(model.tokenizer):
                raise ValueError(f'the pipeline learns captions in words of {_name(learnt)}, the model '
                                 f'writes with {_name(model.tokenizer)}: give both the same tokenizer')
            if writes is not None and reads is not None and model.decoder.borrowed_parameters() \
                    and _digest(writes) != _digest(reads):
                raise ValueError(f'the decoder is tied to the embeddings of {_name(reads)} in the text '
                                 f'tower, and learns words of {_name(writes)}: give '
                                 'model.decoder.tie_embeddings=False')

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """Add the digest of a captioner's vocabulary."""
        model = _captioner(runner)
        if model is not None:
            checkpoint[KEY] = _digest(model.tokenizer)

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Compare the vocabulary of a captioner's checkpoint with the model's.

        Raises:
            RuntimeError: If they differ.
        """
        model, learnt = _captioner(runner), isinstance(checkpoint, dict) and checkpoint.get(KEY)
        if model is not None and learnt and learnt != _digest(model.tokenizer):
            raise RuntimeError(
                f'the decoder of the checkpoint {runner._load_from or ""} has learnt other words than '
                f'{_name(model.tokenizer)}: give the tokenizer that it was trained with')


def _captioner(runner):
    """Return the runner's model if it writes captions."""
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    return model if hasattr(model, 'tokenizer') and hasattr(model, 'decoder') else None


def _pipelines(dataset) -> Iterator[list]:
    """Yield the transforms of a dataset, or of all that it wraps."""
    wrapped = [dataset.dataset] if hasattr(dataset, 'dataset') else getattr(dataset, 'datasets', [])
    if not wrapped:
        yield getattr(getattr(dataset, 'pipeline', None), 'transforms', [])
    for inner in wrapped:
        yield from _pipelines(inner)


def _tokenizer(transforms: list, kind: type):
    """Return the tokenizer of the transform of a kind, also of a wrapped one, None if there is none."""
    return next((step.tokenizer for step in all_steps(transforms) if isinstance(step, kind)), None)


def _digest(tokenizer) -> str:
    """Return a digest of every token and its id."""
    return hashlib.sha256(json.dumps(sorted(tokenizer.get_vocab().items())).encode()).hexdigest()


def _name(tokenizer) -> str:
    return f'tokenizer={tokenizer.name_or_path!r} ({len(tokenizer)} tokens)'

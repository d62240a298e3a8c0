import logging
from typing import Any

from mmaction.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.logging import print_log

from ...checkpoints.clip_settings import clip_differences, clip_settings
from ...datasets.pipeline_description import pipelines
from ...datasets.pipeline_steps import find_step
from ...datasets.transforms import TokenizeCaptions, TokenizeTargets
from ...tokenizers.saved_tokenizer import (
    describe_tokenizer,
    name_tokenizer,
    pack_tokenizer,
    tokenizer_differences,
    vocabulary_digest,
)
from ..preprocessing_description import contradictions, describe_preprocessing, differences
from ..runner_access import (
    built_datasets,
    built_loops,
    captioner_of,
    clip_of,
    steps_of,
    tokenizers_of,
    unwrapped_model,
)

ENTRY = 'mmclip4clip'  # of a checkpoint's meta
OLD_KEY = 'decoder_vocabulary'  # in a captioner's checkpoint, also of versions without the entry
DISABLE_HINT = 'default_hooks.preprocessing_check=None disables this check'


@HOOKS.register_module()
class PreprocessingCheckHook(Hook):
    """Save the preprocessing in checkpoints, and compare it when they are loaded.

    A model accepts the ids of another tokenizer or frames of another size without an error, but with worse
    results. Therefore a checkpoint stores, as plain data under ``meta['mmclip4clip']``:

    - ``preprocessing``: digests of the tokenizers, mean and std, and the training and evaluation pipelines;
    - ``clip_config``: the config of its CLIP, and ``frame_format``, the frames that it was trained with;
    - ``tokenizers``: the tokenizers themselves, so that a test needs only the checkpoint.

    When a checkpoint is tested, resumed or fine-tuned, another tokenizer, mean, std or CLIP is an error.
    Different frames or caption lengths can be intended, so a warning lists them. Training pipelines are
    compared with training pipelines, and evaluation pipelines with evaluation pipelines. Checkpoints without
    this entry are accepted.

    Before anything is loaded, the tokenizers of training, evaluation, query bank and decoder are compared.

    Examples:
        >>> default_hooks = dict(preprocessing_check=dict(type='PreprocessingCheckHook'))
    """

    def __init__(self) -> None:
        self._entry: dict | None = None  # constant during a run

    def before_run(self, runner) -> None:
        """Compare the tokenizers of the pipelines and of the query bank, if there is one.

        Raises:
            ValueError: If two tokenizers differ. The message names both.
        """
        found = [
            (f'the {stage} pipeline', step)
            for stage, dataset in built_datasets(runner).items()
            for step in steps_of(dataset, TokenizeCaptions)
        ]
        for loop in built_loops(runner, '_val_loop', '_test_loop'):
            bank: Any = getattr(loop, 'query_bank', None)
            found += [('the query_bank', bank.tokenize)] if getattr(bank, 'tokenize', None) else []
        described = [(where, describe_tokenizer(step.tokenizer)) for where, step in found]
        for where, description in described[1:]:
            first, expected = described[0]
            difference = tokenizer_differences(expected, description)
            if difference:
                raise ValueError(
                    f'{first} has {name_tokenizer(expected)}, {where} '
                    f'{name_tokenizer(description)}, {difference}: use the same tokenizer for both'
                )
        self._compare_bank(runner)

    @staticmethod
    def _compare_bank(runner) -> None:
        """Warn if the captions of the query bank are truncated or joined differently from the test's."""
        for loop in built_loops(runner, '_val_loop', '_test_loop'):
            bank: Any = getattr(loop, 'query_bank', None)
            if getattr(bank, 'tokenize', None) is None:  # no bank, or one of stored features
                continue
            for dataset, transforms in pipelines(loop.dataloader.dataset):
                test, mode = find_step(transforms, TokenizeCaptions), getattr(dataset, 'caption_mode', None)
                pairs = dict(
                    max_words=(bank.tokenize.max_words, getattr(test, 'max_words', None)),
                    caption_mode=(bank.caption_mode, mode),
                )
                for key, (expected, loaded) in pairs.items():
                    if loaded is not None and expected != loaded:
                        print_log(
                            f'query_bank.{key}={expected}, but {key}={loaded} in the dataset: the captions '
                            'of the bank are prepared differently from those of the test',
                            logger='current',
                            level=logging.WARNING,
                        )

    def before_train(self, runner) -> None:
        """Compare the tokenizers of the training pipeline with a captioner's.

        Raises:
            ValueError: If they differ. The message names both.
        """
        model = captioner_of(runner)
        if model is None:
            return
        for _, transforms in pipelines(runner.train_dataloader.dataset):
            reads, writes = (
                getattr(find_step(transforms, kind), 'tokenizer', None)
                for kind in (TokenizeCaptions, TokenizeTargets)
            )
            target = reads if writes is None else writes
            if target is not None and vocabulary_digest(target) != vocabulary_digest(model.tokenizer):
                raise ValueError(
                    f'the pipeline tokenizes target captions with {_name(target)}, the model '
                    f'generates with {_name(model.tokenizer)}: use the same tokenizer for both'
                )
            if (
                writes is not None
                and reads is not None
                and model.decoder.tied_parameters()
                and vocabulary_digest(writes) != vocabulary_digest(reads)
            ):
                raise ValueError(
                    f'the decoder is tied to the embeddings of {_name(reads)} in the text '
                    f'tower, but its target captions use {_name(writes)}: set '
                    'model.decoder.tie_embeddings=False'
                )

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """Add the entry, and the digest of a captioner's vocabulary for earlier versions."""
        if self._entry is None:
            tokenizers = tokenizers_of(runner)
            self._entry = dict(
                preprocessing=describe_preprocessing(runner),
                tokenizers={role: pack_tokenizer(t) for role, t in tokenizers.items()},
            )
            if clip_of(runner) is not None:
                self._entry['clip_config'] = clip_settings(clip_of(runner).config)
                format = getattr(unwrapped_model(runner).backbone, 'frame_format', None)
                if format is not None:
                    self._entry['frame_format'] = format._asdict()
        checkpoint.setdefault('meta', {}).setdefault(ENTRY, {}).update(self._entry)
        model = captioner_of(runner)
        if model is not None:
            checkpoint[OLD_KEY] = vocabulary_digest(model.tokenizer)

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Compare a checkpoint with the model and the pipelines of this run.

        Raises:
            RuntimeError: If tokenizer, mean, std or CLIP differ. The message names both.
        """
        name, model = runner._load_from or '', captioner_of(runner)
        digest = isinstance(checkpoint, dict) and checkpoint.get(OLD_KEY)
        if model is not None and digest and digest != vocabulary_digest(model.tokenizer):
            raise RuntimeError(
                f'the decoder of the checkpoint {name} was trained with another vocabulary than '
                f'{_name(model.tokenizer)}: use the tokenizer that it was trained with'
            )
        meta = checkpoint.get('meta') if isinstance(checkpoint, dict) else None
        entry = meta.get(ENTRY) if isinstance(meta, dict) else None
        entry = entry if isinstance(entry, dict) else {}
        if not isinstance(entry.get('preprocessing'), dict):
            print_log(
                f'the checkpoint {name} does not specify its tokenizer and preprocessing, so they are not '
                'compared with those of this config',
                logger='current',
            )
        try:
            errors, lines = self._compare(entry, runner)
        except (TypeError, ValueError, LookupError, AttributeError) as error:
            raise RuntimeError(
                f'the checkpoint {name} has a meta[{ENTRY!r}] that cannot be read: {error!r}'
            ) from error
        if errors:
            raise RuntimeError(
                f'the checkpoint {name} was trained with another preprocessing or CLIP than '
                'this config has (checkpoint -> config):\n  '
                + '\n  '.join(errors)
                + f'\nUse the same ones. {DISABLE_HINT}'
            )
        if lines:
            print_log(
                f'this config prepares videos or captions differently from those that the checkpoint {name} '
                'was trained and evaluated with (checkpoint -> config):\n  ' + '\n  '.join(lines),
                logger='current',
                level=logging.WARNING,
            )

    @staticmethod
    def _compare(entry: dict, runner) -> tuple[list[str], list[str]]:
        """List the differences that are errors, and those that may be intended."""
        saved, clip = entry.get('preprocessing'), clip_of(runner)
        errors, lines = [], []
        if isinstance(saved, dict):
            current = describe_preprocessing(runner)
            errors, lines = contradictions(saved, current), differences(saved, current)
        if clip is not None and 'clip_config' in entry:  # converted checkpoints have only this
            errors += clip_differences(entry['clip_config'], clip_settings(clip.config))
        return errors, lines


@HOOKS.register_module()
class TokenizerCheckHook(PreprocessingCheckHook):
    """Former name of :class:`PreprocessingCheckHook`.

    Examples:
        >>> default_hooks = dict(tokenizer_check=dict(type='TokenizerCheckHook'))  # logs a warning
    """

    def __init__(self) -> None:
        super().__init__()
        print_log(
            'TokenizerCheckHook is now called PreprocessingCheckHook: change its name in the config',
            logger='current',
            level=logging.WARNING,
        )


def _name(tokenizer) -> str:
    return f'tokenizer={tokenizer.name_or_path!r} ({len(tokenizer)} tokens)'

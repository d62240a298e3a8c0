import logging
from typing import Any

from mmaction.registry import HOOKS
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.logging import print_log

from ...datasets.frame_shape import find_frame_shape
from ...datasets.pipeline_description import pipelines
from ...datasets.pipeline_steps import find_step
from ...datasets.transforms import TokenizeCaptions, TokenizeTargets
from ...datasets.truncated_captions import count_truncated_captions
from ...models.backbones.families import FAMILIES, image_size, text_length
from ...models.backbones.towers import text_embeddings
from ..runner_access import built_loops, captioner_of, clip_of, loaded_datasets, steps_of, unwrapped_model


@HOOKS.register_module()
class InputCheckHook(Hook):
    """Check before a run that the model accepts the outputs of its pipelines.

    The hook compares the maximum number of words with the text positions and with the decoder's, the
    vocabulary with the embedding, the maximum number of frames with the adapter's, and the frame size with
    the vision tower's. It also logs how many captions are too long and will be truncated.

    Examples:
        >>> default_hooks = dict(input_check=dict(type='InputCheckHook'))
    """

    def before_run(self, runner) -> None:
        """Compare every pipeline, and the query bank, with the model.

        Raises:
            ValueError: If something does not match; lists all config keys and numbers.
        """
        problems = self._check_clip(runner)
        for key, dataset in loaded_datasets(runner).items():
            for _, transforms in pipelines(dataset):
                problems += self._check_text(runner, f'{key}: ', find_step(transforms, TokenizeCaptions))
                problems += self._check_frames(runner, f'{key}: ', transforms)
                if key == 'train_dataloader' and captioner_of(runner) is not None:
                    problems += self._check_targets(runner, f'{key}: ', transforms)
        for loop in built_loops(runner, '_val_loop', '_test_loop'):
            bank = getattr(loop, 'query_bank', None)
            problems += self._check_text(runner, 'query_bank: ', getattr(bank, 'tokenize', None))
        if problems:
            raise ValueError(
                'the outputs of the pipelines do not match the model:\n  '
                + '\n  '.join(dict.fromkeys(problems))
            )
        if is_main_process():
            for key, dataset in loaded_datasets(runner).items():
                for part, transforms in pipelines(dataset):
                    self._report_cut(key, part, find_step(transforms, TokenizeCaptions))

    def before_train(self, runner) -> None:
        """Warn if gradients of several batches are summed, which does not make a contrastive batch larger."""
        steps = getattr(runner.optim_wrapper, '_accumulative_counts', 1)
        contrasts = hasattr(unwrapped_model(runner), 'loss_module')
        if steps > 1 and contrasts and getattr(unwrapped_model(runner), 'retrieval_weight', 1):
            print_log(
                f'optim_wrapper.accumulative_counts={steps} contrasts each of {steps} batches by itself: a '
                'caption is never compared with the videos of another one. For a larger contrastive batch, '
                'raise train_dataloader.batch_size, and set model.micro_batch_size to what fits the memory',
                logger='current',
                level=logging.WARNING,
            )

    @staticmethod
    def _check_clip(runner) -> list[str]:
        """Check that the variable ``clip`` of the config was applied, which the tools do."""
        clip, backbone = runner.cfg.get('clip'), getattr(unwrapped_model(runner), 'backbone', None)
        if clip is None:
            return []
        used = {'model.backbone.pretrained': getattr(backbone, 'pretrained', None)}
        for key, dataset in loaded_datasets(runner).items():
            used.update({f'{key}: tokenizer': step.name for step in steps_of(dataset, TokenizeCaptions)})
        return [
            f'clip={clip!r} of the config was not applied, {key}={name!r}: call '
            'mmclip4clip.apis.use_clip(cfg) before Runner.from_cfg(cfg), as tools/ do'
            for key, name in used.items()
            if name not in (None, clip)
        ]

    @staticmethod
    def _check_text(runner, where: str, step: Any) -> list[str]:
        """Compare a tokenizing transform with CLIP's text tower."""
        clip = clip_of(runner)
        if step is None or clip is None:
            return []
        config, family, problems = clip.config.text_config, FAMILIES[clip.config.model_type], []
        positions, rows = text_length(clip.config), len(text_embeddings(clip)[0].weight)
        if step.max_words > positions:
            problems.append(
                f'{where}max_words={step.max_words} of TokenizeCaptions exceeds the {positions} '
                'text positions of model.backbone (text_config.max_position_embeddings)'
            )
        highest = max(step.tokenizer.get_vocab().values())
        if highest >= rows:
            problems.append(
                f'{where}tokenizer={step.name!r} has ids up to {highest}, but the embedding of '
                f'model.backbone has {rows} rows (text_config.vocab_size)'
            )
        if family.pooling == 'padded' and step.tokenizer.pad_token_id != config.pad_token_id:
            problems.append(
                f'{where}tokenizer={step.name!r} pads with {step.tokenizer.pad_token_id}, but the text '
                f'tower of model.backbone reads padding as {config.pad_token_id} (text_config.pad_token_id)'
            )
        ids = {
            name: (getattr(step.tokenizer, name), getattr(config, name))
            for name in ('bos_token_id', 'eos_token_id')
            if family.pooling == 'last'
        }
        differ = [
            f'{name} {expected} of the tokenizer, text_config.{name}={loaded}'
            for name, (expected, loaded) in ids.items()
            if expected != loaded
        ]
        if (
            differ and config.eos_token_id != 2
        ):  # value in OpenAI's first configs, which stands for the highest id
            print_log(
                f'{where}{"; ".join(differ)} of model.backbone: training and tests here do not use '
                'it, but transformers would read the feature of a caption at another position',
                logger='current',
                level=logging.WARNING,
            )
        return problems

    @staticmethod
    def _check_targets(runner, where: str, transforms: list) -> list[str]:
        """Compare the length of target captions with the decoder's positions."""
        step = find_step(transforms, TokenizeTargets) or find_step(transforms, TokenizeCaptions)
        positions = getattr(unwrapped_model(runner).decoder, 'max_positions', None)
        if step is None or positions is None or step.max_words <= positions:
            return []
        return [
            f'{where}max_words={step.max_words} of {type(step).__name__} exceeds the {positions} '
            'positions of model.decoder (max_positions)'
        ]

    @staticmethod
    def _check_frames(runner, where: str, transforms: list) -> list[str]:
        """Compare number and size of frames with the adapter and CLIP's vision tower."""
        shape, problems = find_frame_shape(transforms), []
        most = getattr(getattr(unwrapped_model(runner), 'adapter', None), 'max_frames', None)
        if most is not None and shape.num_frames is not None and shape.num_frames > most:
            problems.append(
                f'{where}the pipeline samples up to {shape.num_frames} frames per video, '
                f'but max_frames of model.adapter is {most}'
            )
        clip = clip_of(runner)
        if clip is not None and shape.size is not None:
            expected = image_size(clip.config)
            if tuple(shape.size) != expected:
                problems.append(
                    f'{where}the pipeline returns frames of (H, W) = {tuple(shape.size)}, '
                    f'but model.backbone expects {expected} (vision_config.image_size)'
                )
        return problems

    @staticmethod
    def _report_cut(key: str, dataset: Any, step: Any) -> None:
        """Log how many captions of a dataset are truncated."""
        if step is None:
            return
        count = count_truncated_captions(dataset, step)
        if count is None:
            return
        drawn = '' if count.whole else ' in a sample'
        print_log(
            f'{key}: {100 * count.cut / count.captions:.1f} % of {count.captions} captions{drawn} '
            f'({count.cut}) exceed max_words={step.max_words} and are truncated; the longest has '
            f'{count.longest} tokens, start and end included',
            logger='current',
            level=logging.WARNING if count.cut else logging.INFO,
        )

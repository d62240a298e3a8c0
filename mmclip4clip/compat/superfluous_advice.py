"""Suppress advice of mmcv and transformers that does not apply to this package."""

import functools
import logging
import warnings


@functools.cache
def ignore_missing_operators() -> None:
    """Suppress mmcv's advice to install mmcv instead of mmcv-lite.

    Symptom: mmcv-lite warns at the import of its transformer blocks that ``MultiScaleDeformableAttention``
    needs mmcv. No model of this package uses it, so mmcv-lite is enough.

    Safe because building that operator still fails with an error that names mmcv.
    """
    warnings.filterwarnings('ignore', message='Fail to import ``MultiScaleDeformableAttention``')


@functools.cache
def ignore_generation_advice() -> None:
    """Suppress advice of ``generate`` that does not apply to captions.

    Symptoms: transformers < 5 takes a prompt that ends with the padding token for a padded one. GPT-2's
    tokenizer has one token for the start, the end and the padding of a caption, so each batch would log the
    advice to pad on the left. transformers < 4.56 says that a caption which uses all positions exceeds them.

    Safe because captions start from one token each, and the decoder itself checks their length.
    """
    advice = (
        'A decoder-only architecture is being used, but right-padding was detected!',
        'This is a friendly reminder - the current text generation call will exceed',
    )
    for module in ('utils', 'stopping_criteria'):
        logging.getLogger(f'transformers.generation.{module}').addFilter(
            lambda record: not str(record.msg).startswith(advice)
        )

from typing import Any

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from mmengine.runner.amp import autocast
from mmengine.structures import BaseDataElement
from torch import Tensor

from ...datasets.annotations import load_annotations, paragraph
from ...datasets.pipeline_description import pipelines
from ...datasets.pipeline_steps import find_step
from ...datasets.transforms import TokenizeCaptions
from ...models.features import Features, join_features, move_features
from ..metrics.retrieval import NO_BANK
from .stored_captions import StoredCaptions

CAPTION_MODES = ('all', 'paragraph')


class QueryBank:
    """Captions that are not test queries, to find videos that match almost every caption.

    QB-Norm (arXiv:2112.12777) uses them. The captions should be similar to the queries of the test, but not
    contain them, so use the captions of the training annotations.

    Args:
        ann_file (str): Annotations, see :func:`load_annotations`. The videos are not read.
        tokenizer (str): Tokenizer of the dataset's ``TokenizeCaptions``. In a loop it is taken from there by
            default.
        max_words (int): Maximum number of tokens, with the same default.
        caption_mode (str): ``'all'`` makes each caption a query, ``'paragraph'`` the joined captions of each
            video. In a loop, the default is that of the dataset.
        max_captions (int, optional): Maximum number of captions, drawn at random without replacement. None
            uses all captions.
        batch_size (int): Number of captions to encode and score at once.
        seed (int): Seed of the draw, which is the same in every process.
        features (str, optional): Folder with the features of the captions of ``ann_file``, see
            :class:`FeatureDataset`; then no text tower is needed, and the tokenizer is not used.
        per_token (bool): Whether to take the features of all tokens from ``features``.

    Raises:
        FileNotFoundError: If ``ann_file`` does not exist.
        ValueError: If the annotations or an argument are invalid.
        OSError: If the tokenizer cannot be loaded.

    Examples:
        >>> test_cfg = dict(  # in a config; tokenizer and max_words are those of the dataset
        ...     type='VideoTextTestLoop', query_bank=dict(ann_file='data/msrvtt/train_9k.json'))
        >>> test_evaluator = dict(type='VideoTextRetrievalMetric', post_processing=['qb_norm'])
    """

    def __init__(
        self,
        ann_file: str,
        tokenizer: str = 'openai/clip-vit-base-patch32',
        max_words: int = 32,
        caption_mode: str = 'all',
        max_captions: int | None = 5000,
        batch_size: int = 256,
        seed: int = 0,
        features: str | None = None,
        per_token: bool = False,
    ) -> None:
        if caption_mode not in CAPTION_MODES:
            raise ValueError(
                f"caption_mode of the query bank must be 'all' or 'paragraph', got {caption_mode!r}"
            )
        for name, value in (('max_captions', max_captions), ('batch_size', batch_size)):
            if value is not None and value < 1:
                raise ValueError(f'{name} of the query bank must be at least 1, got {value}')
        self.stored = (
            None if features is None else StoredCaptions(features, ann_file, caption_mode, per_token)
        )
        captions = _read_captions(ann_file, caption_mode) if self.stored is None else self.stored.captions
        total = len(captions)
        self.numbers = np.arange(total)
        if max_captions is not None and total > max_captions:
            drawn = np.random.default_rng(seed).choice(total, max_captions, replace=False)
            self.numbers = np.sort(drawn)
        self.captions = [captions[number] for number in self.numbers]
        print_log(
            f'query bank: {len(self.captions)} of the {total} captions of {features or ann_file}',
            logger='current',
        )
        self.batch_size, self.caption_mode = batch_size, caption_mode
        self.tokenize = None if self.stored else TokenizeCaptions(tokenizer, max_words)

    @torch.no_grad()
    def scores(self, model: Any, videos: Features, device: torch.device, fp16: bool = False) -> Tensor:
        """Score each caption of the bank for each video.

        Args:
            model (nn.Module): Unwrapped model with ``encode_text`` and ``similarity``.
            videos (dict[str, Tensor]): Features of V videos, on the device.
            device (torch.device): Device of the model.
            fp16 (bool): Whether to encode in mixed precision, like the loop.

        Returns:
            Tensor: Similarity, on the CPU, (B, V).
        """
        rows = []
        for start in range(0, len(self.captions), self.batch_size):
            text = self._encode(model, slice(start, start + self.batch_size), device, fp16)
            rows.append(model.similarity(move_features(text, device), videos).cpu())
        return torch.cat(rows)

    def _encode(self, model: Any, part: slice, device: torch.device, fp16: bool) -> Features:
        """Return the features of some captions, from the model or from the files."""
        if self.stored is not None:
            return self.stored.features(self.numbers[part])
        assert self.tokenize is not None
        batch = self.tokenize(dict(captions=self.captions[part]))
        tokens, mask = (torch.from_numpy(batch[k]).to(device) for k in ('tokens', 'text_mask'))
        with autocast(enabled=fp16):
            return model.encode_text(tokens, mask)

    def add_scores(
        self, samples: list[BaseDataElement], model: Any, device: torch.device, fp16: bool = False
    ) -> None:
        """Set ``bank_scores`` (B,) of each sample, the scores of all captions of the bank for its video.

        Each process scores its own videos with the full bank, so nothing is exchanged.

        Args:
            samples (list[BaseDataElement]): Videos of this process, with ``video_features``.
            model (nn.Module): Unwrapped model with ``encode_text`` and ``similarity``.
            device (torch.device): Device of the model.
            fp16 (bool): Whether to encode in mixed precision.
        """
        videos = move_features(join_features([sample.video_features for sample in samples]), device)
        for sample, column in zip(samples, self.scores(model, videos, device, fp16).T):
            sample.set_field(column, 'bank_scores')


def _read_captions(ann_file: str, caption_mode: str) -> list[str]:
    entries = load_annotations(ann_file)
    if caption_mode == 'paragraph':
        return [paragraph(e['captions'], f'{ann_file} ({e["video"]})') for e in entries]
    return [c for e in entries for c in e['captions']]


def build_query_bank(cfg: dict | None, metrics: list[BaseMetric], dataset: Any = None) -> QueryBank | None:
    """Build the query bank of a loop.

    Args:
        cfg (dict, optional): Arguments of :class:`QueryBank`. ``tokenizer``, ``max_words`` and
            ``caption_mode`` default to those of the dataset.
        metrics (list[BaseMetric]): Metrics of the loop.
        dataset (optional): Dataset of the loop.

    Raises:
        ValueError: If a metric uses QB-Norm and there is no config of a bank.
    """
    if cfg is None and any('qb_norm' in getattr(m, 'post_processing', ()) for m in metrics):
        raise ValueError(NO_BANK)
    return None if cfg is None else QueryBank(**{**caption_settings(dataset), **cfg})


def caption_settings(dataset: Any) -> dict:
    """Return the settings for captions of a dataset as arguments of :class:`QueryBank`.

    For concatenated datasets, these are the settings of the first one that tokenizes captions.
    """
    for leaf, transforms in pipelines(dataset):
        step = find_step(transforms, TokenizeCaptions)
        if step is not None:
            found = dict(tokenizer=step.name, max_words=step.max_words)
            mode = getattr(leaf, 'caption_mode', None)
            return dict(found, caption_mode=mode) if mode in CAPTION_MODES else found
    return {}

from typing import Any

import torch
from mmaction.registry import LOOPS
from mmengine.dataset import DefaultSampler
from mmengine.evaluator import BaseMetric
from mmengine.model import is_model_wrapper
from mmengine.runner import TestLoop, ValLoop
from mmengine.runner.amp import autocast
from mmengine.structures import BaseDataElement
from torch.utils.data import DataLoader

from ...datasets.samplers import WindowBatchSampler
from ...evaluation.scoring import QueryBank, score_videos
from ...evaluation.scoring.query_bank import build_query_bank
from ...models.features import as_features, move_features
from ..runner_access import with_whole_weights
from .batch_loading import load_batches

SAMPLERS = DefaultSampler, 'DefaultSampler', 'mmaction.DefaultSampler', 'mmengine.DefaultSampler'


class _EncodeOnceLoop:
    """Encode each video and caption once, then score every pair, then evaluate.

    Each process encodes a part of the videos, all processes exchange the features, and each process scores
    its own captions against all videos. Only the final metrics are computed in one process. Windows of one
    video are decoded together, see :class:`WindowBatchSampler`.

    Args:
        runner (Runner): The runner.
        dataloader (dict | DataLoader): Config of the data. A ``DataLoader`` object is used as it is.
        rerank_top (int, optional): Number of videos per caption, and of captions per video, that a cheap
            similarity preselects. Only these pairs are scored, so the metrics are approximate. The log says
            so, and ``rerank/missed`` is the number of captions whose own video was not preselected. For
            adapters that score single pairs (``TightAdapter``).
        query_bank (dict, optional): Arguments of :class:`QueryBank`, for QB-Norm.
        **kwargs: Arguments of mmengine's loops.

    Raises:
        ValueError: If ``rerank_top`` is less than 1 or combined with ``query_bank``, if the adapter cannot
            re-rank, or if a metric needs a query bank and there is none.
    """

    stage: str
    runner: Any  # set by mmengine's loops, like the next three
    evaluator: Any
    dataloader: Any
    fp16: bool
    rerank_top: int | None = None
    query_bank: QueryBank | None = None

    def __init__(
        self,
        runner: Any,
        dataloader: DataLoader | dict,
        *args,
        rerank_top: int | None = None,
        query_bank: dict | None = None,
        **kwargs,
    ) -> None:
        super().__init__(*(runner, group_windows(dataloader), *args), **kwargs)
        if rerank_top is not None and rerank_top < 1:
            raise ValueError(f'rerank_top must be at least 1, got {rerank_top}')
        if rerank_top is not None and query_bank is not None:
            raise ValueError(
                'query_bank scores its captions against every video, but rerank_top='
                f'{rerank_top} avoids that: set only one of them'
            )
        self.rerank_top = rerank_top
        self.query_bank = build_query_bank(query_bank, self.evaluator.metrics, self.dataloader.dataset)

    @torch.no_grad()
    def run(self) -> dict:
        """Evaluate the whole dataset and return the metrics."""
        self.runner.call_hook(f'before_{self.stage}')
        self.runner.call_hook(f'before_{self.stage}_epoch')
        self.runner.model.eval()
        samples = []
        for idx, batch in enumerate(load_batches(self.runner, self.dataloader, f'{self.stage}_dataloader')):
            samples.extend(self.run_iter(idx, batch))
        if isinstance(self.dataloader.batch_sampler, WindowBatchSampler):
            samples = self.dataloader.batch_sampler.in_order(samples)
        extra = self.score(samples)
        self.evaluator.process(samples)
        metrics = dict(self.evaluator.evaluate(len(self.dataloader.dataset)), **extra)
        self.runner.call_hook(f'after_{self.stage}_epoch', metrics=metrics)
        self.runner.call_hook(f'after_{self.stage}')
        return metrics

    @torch.no_grad()
    def run_iter(self, idx: int, data_batch: dict) -> list[BaseDataElement]:
        """Encode one batch and keep its features on the CPU."""
        self.runner.call_hook(f'before_{self.stage}_iter', batch_idx=idx, data_batch=data_batch)
        with autocast(enabled=self.fp16):
            outputs = getattr(self.runner.model, f'{self.stage}_step')(data_batch)
        self.runner.call_hook(
            f'after_{self.stage}_iter', batch_idx=idx, data_batch=data_batch, outputs=outputs
        )
        samples = [sample.cpu() for sample in outputs]
        for sample in samples:
            for key in ('video_features', 'text_features'):  # cpu() does not move dicts
                features = as_features(sample.get(key), f'the model, in {key},')
                sample.set_field(move_features(features, 'cpu'), key)
        return samples

    def score(self, samples: list[BaseDataElement]) -> dict[str, int]:
        """Add the scores to each sample, see :func:`score_videos`."""
        model = self.runner.model
        with with_whole_weights(model):
            return score_videos(
                model.module if is_model_wrapper(model) else model,
                samples,
                len(self.dataloader.dataset),
                self.rerank_top,
                self.query_bank,
                self.fp16,
                all(_reads_in_blocks(metric) for metric in self.evaluator.metrics),
                self.runner.work_dir,
            )


def group_windows(dataloader: DataLoader | dict) -> DataLoader | dict:
    """Let the batches of a dataloader config consist of windows of the same videos, if it sets no batches.

    Examples:
        >>> sampler = dict(type='DefaultSampler', shuffle=False)
        >>> group_windows(dict(batch_size=4, sampler=sampler))['batch_sampler']
        {'type': 'mmaction.WindowBatchSampler'}
    """
    if not isinstance(dataloader, dict):
        return dataloader
    sampler = dataloader.get('sampler')
    in_order = (
        isinstance(sampler, dict) and sampler.get('type') in SAMPLERS and not sampler.get('shuffle', True)
    )
    if not in_order or dataloader.get('batch_sampler') or dataloader.get('drop_last'):
        return dataloader
    if 'batch_size' not in dataloader:  # 1 by default, and mmengine builds no batch sampler without one
        return dataloader
    return dict(dataloader, batch_sampler=dict(type='mmaction.WindowBatchSampler'))  # found in any scope


def _reads_in_blocks(metric: BaseMetric) -> bool:
    """Return whether the class of a metric itself, not one that it extends, accepts :class:`ScoreRows`."""
    return vars(type(metric)).get('reads_scores_in_blocks', False)


@LOOPS.register_module()
class VideoTextValLoop(_EncodeOnceLoop, ValLoop):
    """Validation loop that decodes and encodes each video once, even if it has many captions.

    Args:
        rerank_top (int, optional): Number of candidates per caption and per video to score with adapters such
            as ``TightAdapter``; by default all pairs are scored.
        query_bank (dict, optional): Arguments of :class:`QueryBank`, for QB-Norm.
        **kwargs: Arguments of :class:`mmengine.runner.ValLoop`.

    Examples:
        >>> val_cfg = dict(type='VideoTextValLoop')  # in a config
        >>> val_cfg = dict(type='VideoTextValLoop', rerank_top=100)  # with TightAdapter, for large tests
    """

    stage = 'val'


@LOOPS.register_module()
class VideoTextTestLoop(_EncodeOnceLoop, TestLoop):
    """Test loop that decodes and encodes each video once, even if it has many captions.

    Args:
        rerank_top (int, optional): See :class:`VideoTextValLoop`.
        query_bank (dict, optional): Arguments of :class:`QueryBank`, for QB-Norm.
        **kwargs: Arguments of :class:`mmengine.runner.TestLoop`.

    Examples:
        >>> test_cfg = dict(  # in a config
        ...     type='VideoTextTestLoop',
        ...     query_bank=dict(ann_file='data/msrvtt/annotations/train_9k.json', max_captions=10000))
    """

    stage = 'test'

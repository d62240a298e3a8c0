from itertools import chain, zip_longest
from typing import Dict, List, Optional

import torch
from mmaction.registry import LOOPS
from mmengine.dist import all_gather_object, all_reduce, get_rank, get_world_size
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.runner import TestLoop, ValLoop
from mmengine.runner.amp import autocast
from mmengine.structures import BaseDataElement

from ...models.adapters import RerankableAdapter
from ...models.features import cat_features, count_features, join_features, move_features, zero_features
from .batches import load_batches
from .query_bank import QueryBank, build_query_bank
from .rerank import report_rerank, rerank


class _EncodeOnceLoop:
    """Encode each video and caption once, then score every pair, then evaluate.

    What the two loops below share. Every process encodes its share of the
    videos, all exchange the features, and every process scores its own captions
    with all videos; nothing is left to one process but the final figures.

    Args:
        rerank_top (int, optional): Score only pairs that a cheap score puts on a
            shortlist: of each caption this many videos, of each video this many
            captions. The figures are approximate then: the log says so, and
            ``rerank/missed`` how many captions were not shortlisted with their
            own video. For adapters that score single pairs (``TightAdapter``).
        query_bank (dict, optional): Arguments of :class:`QueryBank`, for QB-Norm.
        **kwargs: As for mmengine's loops.

    Raises:
        ValueError: If ``rerank_top`` is less than 1, or the adapter cannot re-rank; if
            a metric needs a query bank and there is none, or ``rerank_top`` comes with one.
    """

    stage: str
    rerank_top: Optional[int] = None
    query_bank: Optional[QueryBank] = None

    def __init__(self, *args, rerank_top: Optional[int] = None, query_bank: Optional[dict] = None,
                 **kwargs) -> None:
        super().__init__(*args, **kwargs)
        if rerank_top is not None and rerank_top < 1:
            raise ValueError(f'rerank_top must be at least 1, got {rerank_top}')
        if rerank_top is not None and query_bank is not None:
            raise ValueError('query_bank scores its captions with every video, which rerank_top='
                             f'{rerank_top} is there to avoid: give one of them')
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
        extra = self.score(samples)
        self.evaluator.process(samples)
        metrics = dict(self.evaluator.evaluate(len(self.dataloader.dataset)), **extra)
        self.runner.call_hook(f'after_{self.stage}_epoch', metrics=metrics)
        self.runner.call_hook(f'after_{self.stage}')
        return metrics

    @torch.no_grad()
    def run_iter(self, idx: int, data_batch: dict) -> List[BaseDataElement]:
        """Encode one batch and keep its features on the CPU."""
        self.runner.call_hook(
            f'before_{self.stage}_iter', batch_idx=idx, data_batch=data_batch)
        with autocast(enabled=self.fp16):
            outputs = getattr(self.runner.model, f'{self.stage}_step')(data_batch)
        self.runner.call_hook(
            f'after_{self.stage}_iter', batch_idx=idx, data_batch=data_batch, outputs=outputs)
        samples = [sample.cpu() for sample in outputs]
        for sample in samples:
            for key in ('video_features', 'text_features'):  # cpu() leaves dicts where they are
                sample.set_field(move_features(sample.get(key), 'cpu'), key)
        return samples

    def score(self, samples: List[BaseDataElement]) -> Dict[str, int]:
        """Give each sample the ``scores`` (N_i, V) of its captions with all videos.

        With a query bank also ``bank_scores`` (B,), of the bank's captions with the sample's video.

        Args:
            samples (list[BaseDataElement]): This process's videos, in the
                order of its sampler.

        Returns:
            dict[str, int]: What is to be said beside the metrics, of re-ranking.

        Raises:
            ValueError: If a score is NaN or infinite.
        """
        model = self.runner.model
        model = model.module if is_model_wrapper(model) else model
        device = next(model.parameters()).device
        videos = _gather_in_order([sample.video_features for sample in samples],
                                  len(self.dataloader.dataset))
        videos = move_features(join_features(videos), device)
        text = move_features(cat_features([sample.text_features for sample in samples]), device)
        counts = [count_features(sample.text_features) for sample in samples]
        if self.rerank_top is None:
            scores, extra = model.similarity(text, videos).cpu(), {}
        else:
            scores, extra = self._rerank(model.adapter, text, videos, counts)
        bad = all_reduce_sum((~torch.isfinite(scores)).sum().to(device))
        if bad:  # said by every process, so that none waits for another
            raise ValueError(f'{bad} similarities are NaN or infinite: nothing can be ranked by them')
        scores = self._rank_unreadable_last(samples, scores)
        for sample, rows in zip(samples, scores.split(counts)):
            sample.set_field(rows, 'scores')
        if self.query_bank is not None:
            self.query_bank.add_scores(samples, model, device, self.fp16)
        return extra

    def _rank_unreadable_last(self, samples: List[BaseDataElement], scores: torch.Tensor) -> torch.Tensor:
        """Let no caption find a video that could not be read, not even its own captions.

        Args:
            samples (list[BaseDataElement]): This process's videos. Those that say that
                they are ``unreadable`` were encoded from other frames (see
                ``VideoCaptionDataset``), and lose these features here.
            scores (Tensor): Their captions with all videos, (N, V).
        """
        mine = ['unreadable' in sample for sample in samples]
        for sample in (sample for sample, bad in zip(samples, mine) if bad):
            sample.set_field(zero_features(sample.video_features), 'video_features')
        unreadable = torch.tensor(_gather_in_order(mine, len(self.dataloader.dataset)))
        lowest = scores.min() if scores.numel() else torch.tensor(float('inf'))
        all_reduce(lowest, 'min')
        return torch.where(unreadable, lowest - 1, scores)

    def _rerank(self, adapter, text, videos, counts: List[int]):
        """Score shortlisted pairs only, and log that the figures are approximate."""
        if not isinstance(adapter, RerankableAdapter):
            raise ValueError(f'rerank_top={self.rerank_top} needs a RerankableAdapter, which scores single '
                             f'pairs as TightAdapter does; {type(adapter).__name__} scores all at once')
        total = len(self.dataloader.dataset)
        index = torch.arange(len(counts)) * get_world_size() + get_rank()  # the sampler's turns
        index = index.repeat_interleave(torch.tensor(counts)).to(next(adapter.parameters()).device)
        scores, listed = rerank(adapter, text, videos, self.rerank_top, index < total)
        extra = report_rerank(self.rerank_top, listed, index % total, index < total)
        print_log('approximate figures: only the best {rerank/top} of a cheap score were scored; '
                  '{rerank/missed} of {rerank/captions} captions were not shortlisted with their own '
                  'video'.format(**extra), logger='current', level=30)
        return scores.cpu(), extra


def all_reduce_sum(count: torch.Tensor) -> int:
    """Sum a count over all processes."""
    all_reduce(count)
    return int(count)


def _gather_in_order(pieces: list, total: int) -> list:
    """Collect a list spread over processes round-robin, without the sampler's padding."""
    if get_world_size() == 1:
        return pieces
    return list(chain.from_iterable(zip_longest(*all_gather_object(pieces))))[:total]


@LOOPS.register_module()
class VideoTextValLoop(_EncodeOnceLoop, ValLoop):
    """Validation that decodes and encodes each video once, however many captions it has."""

    stage = 'val'


@LOOPS.register_module()
class VideoTextTestLoop(_EncodeOnceLoop, TestLoop):
    """Test that decodes and encodes each video once, however many captions it has."""

    stage = 'test'

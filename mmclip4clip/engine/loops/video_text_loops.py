from typing import Any

import torch
from mmaction.registry import LOOPS
from mmengine.model import is_model_wrapper
from mmengine.runner import TestLoop, ValLoop
from mmengine.runner.amp import autocast
from mmengine.structures import BaseDataElement

from ...evaluation.scoring import QueryBank, score_videos
from ...evaluation.scoring.query_bank import build_query_bank
from ...models.features import as_features, move_features
from .batch_loading import load_batches


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
    runner: Any  # these four are mmengine's loops'
    evaluator: Any
    dataloader: Any
    fp16: bool
    rerank_top: int | None = None
    query_bank: QueryBank | None = None

    def __init__(
        self, *args, rerank_top: int | None = None, query_bank: dict | None = None, **kwargs
    ) -> None:
        super().__init__(*args, **kwargs)
        if rerank_top is not None and rerank_top < 1:
            raise ValueError(f'rerank_top must be at least 1, got {rerank_top}')
        if rerank_top is not None and query_bank is not None:
            raise ValueError(
                'query_bank scores its captions with every video, which rerank_top='
                f'{rerank_top} is there to avoid: give one of them'
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
            for key in ('video_features', 'text_features'):  # cpu() leaves dicts where they are
                features = as_features(sample.get(key), f'the model, in {key},')
                sample.set_field(move_features(features, 'cpu'), key)
        return samples

    def score(self, samples: list[BaseDataElement]) -> dict[str, int]:
        """Give each sample its scores, see :func:`score_videos`."""
        model = self.runner.model
        return score_videos(
            model.module if is_model_wrapper(model) else model,
            samples,
            len(self.dataloader.dataset),
            self.rerank_top,
            self.query_bank,
            self.fp16,
        )


@LOOPS.register_module()
class VideoTextValLoop(_EncodeOnceLoop, ValLoop):
    """Validation that decodes and encodes each video once, however many captions it has."""

    stage = 'val'


@LOOPS.register_module()
class VideoTextTestLoop(_EncodeOnceLoop, TestLoop):
    """Test that decodes and encodes each video once, however many captions it has."""

    stage = 'test'

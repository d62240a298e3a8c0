from itertools import chain, zip_longest
from typing import List

import torch
from mmaction.registry import LOOPS
from mmengine.dist import all_gather_object, all_reduce, get_world_size
from mmengine.model import is_model_wrapper
from mmengine.runner import TestLoop, ValLoop
from mmengine.runner.amp import autocast
from mmengine.structures import BaseDataElement

from ...models.adapters.base import join_videos


class _EncodeOnceLoop:
    """Encode each video and caption once, then score every pair, then evaluate.

    What the two loops below share. Every process encodes its share of the
    videos, all exchange the features, and every process scores its own captions
    with all videos; nothing is left to one process but the final figures.
    """

    stage: str

    @torch.no_grad()
    def run(self) -> dict:
        """Evaluate the whole dataset and return the metrics."""
        self.runner.call_hook(f'before_{self.stage}')
        self.runner.call_hook(f'before_{self.stage}_epoch')
        self.runner.model.eval()
        samples = []
        for idx, batch in enumerate(self.dataloader):
            samples.extend(self.run_iter(idx, batch))
        self.score(samples)
        self.evaluator.process(samples)
        metrics = self.evaluator.evaluate(len(self.dataloader.dataset))
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
        return [sample.cpu() for sample in outputs]

    def score(self, samples: List[BaseDataElement]) -> None:
        """Give each sample the ``scores`` (N_i, V) of its captions with all videos.

        Args:
            samples (list[BaseDataElement]): This process's videos, in the
                order of its sampler.

        Raises:
            ValueError: If a score is NaN or infinite.
        """
        model = self.runner.model
        model = model.module if is_model_wrapper(model) else model
        device = next(model.parameters()).device
        videos = _gather_in_order([sample.video_features for sample in samples],
                                  len(self.dataloader.dataset))
        videos = _to(join_videos(videos), device)
        text = torch.cat([sample.text_features for sample in samples]).to(device)
        scores = model.similarity(text.float(), videos).cpu()
        bad = all_reduce_sum((~torch.isfinite(scores)).sum().to(device))
        if bad:  # said by every process, so that none waits for another
            raise ValueError(f'{bad} similarities are NaN or infinite: nothing can be ranked by them')
        counts = [len(sample.text_features) for sample in samples]
        for sample, rows in zip(samples, scores.split(counts)):
            sample.set_field(rows, 'scores')


def all_reduce_sum(count: torch.Tensor) -> int:
    """Sum a count over all processes."""
    all_reduce(count)
    return int(count)


def _gather_in_order(pieces: list, total: int) -> list:
    """Collect a list spread over processes round-robin, without the sampler's padding."""
    if get_world_size() == 1:
        return pieces
    return list(chain.from_iterable(zip_longest(*all_gather_object(pieces))))[:total]


def _to(videos, device):
    if isinstance(videos, dict):
        return {key: _to(value, device) for key, value in videos.items()}
    return videos.to(device, torch.float32 if videos.is_floating_point() else videos.dtype)


@LOOPS.register_module()
class VideoTextValLoop(_EncodeOnceLoop, ValLoop):
    """Validation that decodes and encodes each video once, however many captions it has."""

    stage = 'val'


@LOOPS.register_module()
class VideoTextTestLoop(_EncodeOnceLoop, TestLoop):
    """Test that decodes and encodes each video once, however many captions it has."""

    stage = 'test'

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmaction.registry import LOOPS
from mmengine.dist import barrier, get_rank, get_world_size, is_main_process
from mmengine.runner import TestLoop
from mmengine.runner.amp import autocast
from torch import Tensor
from torch.utils.data import Sampler

from ...datasets.dataset_traversal import leaf_datasets
from ...datasets.feature_files import (
    FeatureFolder,
    FeatureSettings,
    StoredVideo,
    locked_folder,
    prepare_folder,
    shard_path,
    write_shard,
)
from ...datasets.samplers.window_batches import batch_windows
from ...datasets.seeded_dataset import SeededDataset
from ...models.features import Features, join_features, move_features, split_features
from ..extraction_settings import describe_extraction
from ..runner_access import unwrapped_model
from .batch_loading import load_batches


class BatchList(Sampler):
    """Yields given batches, which may be set after the dataloader is built.

    Args:
        sampler (Sampler): Not used.
        batch_size (int): Maximum number of items in a batch.

    Examples:
        >>> sampler = BatchList([], batch_size=2)
        >>> sampler.batches = [[4, 5], [6]]
        >>> list(sampler)
        [[4, 5], [6]]
    """

    def __init__(self, sampler: Any, batch_size: int) -> None:
        self.batch_size = batch_size
        self.batches: list[list[int]] = []

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)


@LOOPS.register_module()
class FeatureExtractionLoop(TestLoop):
    """Write the features of the frames, videos and captions of a dataset to files.

    A shard is a file with the features of consecutive videos. It gets its name when it is complete, so a
    killed run goes on at its first missing or damaged shard. Windows of one video in one shard are decoded
    together. The items of a batch, the random transforms of
    an item and the videos of a shard do not depend on that, nor on the number of processes, which share the
    shards.

    Args:
        runner (Runner): The runner.
        dataloader (dict): Config of the test data, a ``VideoCaptionDataset`` with ``test_mode``.
        evaluator (list): Not used.
        out (str): Folder of the shards.
        split (str): Name of the split.
        parts (Sequence[str], optional): What to store: ``'frames'``, features of the frames as the backbone
            returns them; ``'video'``, features of the adapter; ``'text'``, one vector per caption;
            ``'tokens'``, features of the tokens of captions. By default ``frames``, ``video`` unless the
            adapter is untrained, and those features of captions that the adapter uses.
        shard_size (int): Number of videos in a shard, rounded up to whole batches.
        half (bool): Whether to store half precision.
        fp16 (bool): Whether to encode in mixed precision.

    Raises:
        ValueError: If ``shard_size`` is less than 1.

    Examples:
        >>> test_cfg = dict(type='FeatureExtractionLoop', out='features/test', split='test')  # in a config
    """

    def __init__(
        self,
        runner: Any,
        dataloader: dict,
        evaluator: Any,
        out: str,
        split: str,
        parts: Any = None,
        shard_size: int = 512,
        half: bool = False,
        fp16: bool = False,
    ) -> None:
        if shard_size < 1:
            raise ValueError(f'shard_size must be at least 1, got {shard_size}')
        dataset = SeededDataset(dataloader['dataset'])
        dataset.set_seed_and_epoch(runner.seed, 0)
        kept = {key: value for key, value in dataloader.items() if key not in ('batch_sampler', 'drop_last')}
        loader = runner.build_dataloader(
            dict(kept, dataset=dataset, batch_sampler=dict(type=BatchList)), seed=runner.seed
        )
        super().__init__(runner, loader, [], fp16)
        self.order: BatchList = loader.batch_sampler
        self.folder, self.split, self.half = Path(out), split, half
        self.shard_size = -(-shard_size // self.order.batch_size) * self.order.batch_size
        adapter = unwrapped_model(runner).adapter
        trained = runner._load_from or not any(True for _ in adapter.parameters())
        default = ('frames', *(('video',) if trained else ()), 'tokens' if adapter.uses_tokens else 'text')
        self.parts = tuple(parts or default)

    @torch.no_grad()
    def run(self) -> dict:
        """Write the missing shards, and return no metrics.

        Raises:
            FeatureMismatchError: If the folder has features of other settings.
            RuntimeError: If another extraction writes into the folder.
        """
        self.runner.call_hook('before_test')
        self.runner.call_hook('before_test_epoch')
        self.runner.model.eval()
        (leaf,) = leaf_datasets(self.dataloader.dataset)
        with locked_folder(self.folder):
            self._write_shards(describe_extraction(self, leaf))
        self.runner.call_hook('after_test_epoch', metrics={})
        self.runner.call_hook('after_test')
        return {}

    def _write_shards(self, settings: FeatureSettings) -> None:
        missing = prepare_folder(self.folder, settings, is_main_process())
        numbers = [n for n in missing if n % get_world_size() == get_rank()]
        self._announce(settings.num_shards, len(missing), settings.num_videos)
        for number, items, batches in self._batches_of_shards(numbers, settings.num_videos):
            encoded = [pair for batch in batches for pair in self.run_iter(*batch)]
            videos, pooled = map(list, zip(*(encoded[place] for place in np.argsort(items))))
            joined = join_features(pooled) if 'video' in self.parts else None
            write_shard(shard_path(self.folder, number), videos, joined, self.half)
        barrier()
        if is_main_process():
            self.runner.logger.info(
                f'{self.folder}: {len(FeatureFolder(self.folder).infos)} videos are stored'
            )

    def _announce(self, shards: int, missing: int, videos: int) -> None:
        done = f'; {shards - missing} are there already' if missing < shards else ''
        self.runner.logger.info(
            f'{self.folder}: {", ".join(self.parts)} of {videos} videos in {shards} shards of up to '
            f'{self.shard_size} videos{done}'
        )

    def _batches_of_shards(
        self, numbers: list[int], total: int
    ) -> Iterator[tuple[int, list[int], Iterator[tuple[int, dict]]]]:
        """Yield each shard with its items and their numbered batches, from one pass through the dataloader.

        The items are in the order of the batches, which have windows of the same videos.
        """
        spans = [range(n * self.shard_size, min((n + 1) * self.shard_size, total)) for n in numbers]
        windows, size = self.dataloader.dataset.file_windows, self.order.batch_size
        shards = [
            [[span[i] for i in batch] for batch in batch_windows(windows[span.start : span.stop], size)]
            for span in spans
        ]
        self.order.batches = [batch for shard in shards for batch in shard]
        batches = enumerate(load_batches(self.runner, self.dataloader, 'test_dataloader'))
        for number, shard in zip(numbers, shards):
            yield number, [item for batch in shard for item in batch], (next(batches) for _ in shard)

    @torch.no_grad()
    def run_iter(self, idx: int, data_batch: dict) -> list[tuple[StoredVideo, Features]]:
        """Encode one batch; return each video, and the adapter's features of it."""
        self.runner.call_hook('before_test_iter', batch_idx=idx, data_batch=data_batch)
        model = unwrapped_model(self.runner)
        with autocast(enabled=self.fp16):
            data = model.data_preprocessor(data_batch, False)
            found = encode_parts(model, data['inputs'], self.parts)
        self.runner.call_hook('after_test_iter', batch_idx=idx, data_batch=data_batch, outputs=[])
        mask, video_index = (data['inputs'][key].cpu() for key in ('frame_mask', 'video_index'))
        pooled = (
            split_features(move_features(found['video'], 'cpu')) if 'video' in found else [{}] * len(mask)
        )
        stored = []
        for i, sample in enumerate(data['data_samples']):
            video = _take(found, sample, i, mask[i].bool(), video_index == i)
            stored.append((video, _blank(pooled[i]) if sample.get('unreadable') else pooled[i]))
        return stored


def encode_parts(model: Any, inputs: dict[str, Tensor], parts: tuple[str, ...]) -> dict[str, Any]:
    """Return the features of a batch by the names of the parts."""
    found: dict[str, Any] = {}
    mask, words = inputs['frame_mask'], (inputs['tokens'], inputs['text_mask'])
    if {'frames', 'video'} & set(parts):
        found['frames'] = model.backbone.encode_frames(inputs['frames'], mask)
    if 'video' in parts:
        found['video'] = model.pool(model.adapter.contextualize(found['frames'], mask), mask)
    if 'text' in parts:
        found['text'] = model.backbone.encode_text(*words)
    if 'tokens' in parts:
        found.update(model.backbone.encode_text(*words, per_token=True))
    if 'frames' not in parts:
        found.pop('frames', None)
    return found


def _take(found: dict[str, Any], sample: Any, row: int, real: Tensor, captions: Tensor) -> StoredVideo:
    """Take the features of one video and of its captions from those of a batch."""
    frames, text, rows = found.get('frames'), found.get('text'), None
    if frames is not None:
        frames = frames[row].cpu()[real]
        if sample.get('unreadable'):  # it was encoded with the frames of another video
            frames = torch.zeros_like(frames[:1])
    if 'tokens' in found:
        lengths = found['text_mask'][captions].sum(dim=1).tolist()
        rows = [row[:length].cpu() for row, length in zip(found['tokens'][captions], lengths)]
    return StoredVideo(_plain(sample), frames, None if text is None else text[captions].cpu(), rows)


def _plain(sample: Any) -> dict[str, Any]:
    """Return the metainfo of a data sample that describes the video."""
    return {key: value for key, value in sample.metainfo_items() if value is not None}


def _blank(features: Features) -> Features:
    return {key: torch.zeros_like(value) for key, value in features.items()}

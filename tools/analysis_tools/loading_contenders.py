"""The pipelines that benchmark_loader.py compares, and the clips that they load."""

import mmclip4clip  # noqa: F401  # isort: skip  (first: mmaction2 itself refuses newer mmcv)

from pathlib import Path

import numpy as np
import torch
from mmaction.registry import TRANSFORMS
from mmengine.dataset import Compose
from torch.utils.data import Dataset

from mmclip4clip.datasets.video_readers import installed_backends

RESIZE = [dict(type='Resize', scale=(-1, 256)), dict(type='CenterCrop', crop_size=224)]
FORMAT = dict(type='FormatShape', input_format='NCHW')


class Clips(Dataset):
    """Clips of video files as tensors (T, 3, 224, 224), each file ``repeat`` times."""

    def __init__(self, files: list[Path], pipeline: list[dict], repeat: int = 1) -> None:
        self.files, self.repeat = files, repeat
        self.pipeline = Compose([TRANSFORMS.build(step) for step in pipeline])

    def __len__(self) -> int:
        return self.repeat * len(self.files)

    def __getitem__(self, i: int) -> torch.Tensor:
        file = str(self.files[i % len(self.files)])
        frames = self.pipeline(dict(filename=file, start_index=0, modality='RGB'))['imgs']
        return torch.from_numpy(np.ascontiguousarray(frames))


def make_pipelines(
    frames: int, backends: list[list[str]], time_limit: float | None, cache: str
) -> dict[str, list[dict]]:
    """Return mmaction2's stock pipeline, one for each list of backends, and the first one with a cache.

    Without decord, the stock pipeline is missing.
    """
    sampling = dict(type='UniformSample', clip_len=frames, num_clips=1, test_mode=True)
    pipelines = {}
    if 'decord' in installed_backends():
        pipelines['stock'] = [dict(type='DecordInit'), sampling, dict(type='DecordDecode'), *RESIZE, FORMAT]
    for names in backends:
        decode = dict(type='DecodeVideo', sampling=sampling, backends=names, time_limit=time_limit)
        pipelines[' '.join(names)] = [decode, *RESIZE, FORMAT]
    first = pipelines[' '.join(backends[0])]
    pipelines['cached'] = [dict(type='CacheFrames', transforms=first, folder=cache)]
    return pipelines

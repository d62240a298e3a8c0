"""Tests of this package, of mmaction2, and of a plain version of the reference, on the same frames."""

import sys
from pathlib import Path
from typing import Any

from contenders import import_clip, read_model_config, stock_config
from loading_contenders import FORMAT, RESIZE

FRAMES = 12
SAMPLING = dict(type='UniformSample', clip_len=FRAMES, num_clips=1, test_mode=True)


class RunnerTest:
    """A test with mmengine's runner.

    Args:
        folder (Path): Written by :func:`write_weights`, with ``test.json`` and the tokenizer.
        videos (Path): Folder of the videos.
        workers (int): Processes that decode.
        threads (int): Threads of torch.
    """

    def __init__(self, folder: Path, videos: Path, workers: int, threads: int) -> None:
        import torch

        torch.set_num_threads(threads)
        cfg = self.read_config(folder)
        loader = cfg.test_dataloader
        loader.update(num_workers=workers, persistent_workers=workers > 0)
        loader.dataset.update(
            data_root='', ann_file=str(folder / 'test.json'), data_prefix=dict(video=str(videos))
        )
        for key in [key for key in cfg if key.startswith(('train', 'val', 'param', 'optim', 'auto'))]:
            cfg.pop(key)
        cfg.update(work_dir=str(folder / type(self).__name__), load_from=None, log_level='ERROR')
        self.runner = self.build(cfg)

    def read_config(self, folder: Path) -> Any:
        """Return a config with the CLIP of the folder."""
        raise NotImplementedError

    def build(self, cfg: Any) -> Any:
        """Return the runner of a config."""
        from mmengine.runner import Runner

        return Runner.from_cfg(cfg)

    def test(self) -> dict[str, float]:
        """Test, and return the figures."""
        return {key.split('/')[-1]: float(value) for key, value in self.runner.test().items()}


class OurTest(RunnerTest):
    """Our model, with the settings of the config for MSR-VTT, except for the sampling and the gallery."""

    def read_config(self, folder: Path) -> Any:
        """Return our config, with mmaction2's frames."""
        cfg = read_model_config(folder)
        *_, tokenize, pack = cfg.test_dataloader.dataset.pipeline
        decode = dict(type='DecodeVideo', sampling=SAMPLING)
        cfg.default_hooks.report.gallery = 0  # the others draw none
        cfg.test_dataloader.dataset.pipeline = [decode, *RESIZE, FORMAT, tokenize, pack]
        return cfg

    def build(self, cfg: Any) -> Any:
        """Return the runner of a config."""
        from mmclip4clip.apis import build_runner

        return build_runner(cfg, training=False)

    def read_frames(self) -> None:
        """Keep all frames, for :meth:`encode_frames`."""
        loader = self.runner.test_loop.dataloader
        batches = [self.runner.model.data_preprocessor(batch)['inputs'] for batch in loader]
        self.batches = [(batch['frames'], batch['frame_mask']) for batch in batches]

    def encode_frames(self) -> None:
        """Encode all frames by the frame tower, one video at a time, and nothing else."""
        import torch

        with torch.inference_mode():
            for frames, mask in self.batches:
                for video, kept in zip(frames, mask):
                    self.runner.model.backbone.encode_frames(video[None], kept[None])


class OurMergingTest(OurTest):
    """The same with token merging, as in the config with ``merge4`` in its name."""

    def read_config(self, folder: Path) -> Any:
        """Return our config, with 4 patches merged in each block."""
        cfg = super().read_config(folder)
        cfg.model.backbone.token_merging = dict(r=4)
        return cfg


class StockTest(RunnerTest):
    """mmaction2's CLIPSimilarity, with the settings of its config for MSR-VTT."""

    def read_config(self, folder: Path) -> Any:
        """Return mmaction2's config."""
        from mmengine.config import Config
        from mmengine.registry import init_default_scope

        sys.modules['clip'] = import_clip()
        init_default_scope('mmaction')
        cfg = Config.fromfile(stock_config())
        cfg.model.clip_arch = str(folder / 'clip.pt')
        cfg.default_scope = 'mmaction'
        return cfg


class ReferenceTest(StockTest):
    """A plain version of the evaluation of ArrowLuo/CLIP4Clip with mean pooling, in fp32.

    It was written from the behavior of that code: an item is a caption with the frames of its video, so a
    video is decoded once per caption; it is encoded with its last caption. Frames come from mmaction2's
    pipeline.
    """

    WORDS = 32

    def read_config(self, folder: Path) -> Any:
        """Return mmaction2's config, with batches of 16."""
        cfg = super().read_config(folder)
        cfg.test_dataloader.batch_size = 16
        return cfg

    def test(self) -> dict[str, float]:
        """Test, and return the figures from text to video."""
        import numpy as np
        import torch
        from torch.nn.functional import normalize

        model, dataset = self.runner.model, self.runner.test_loop.dataloader.dataset
        model.eval()  # returns nothing
        files = [dataset.get_data_info(i)['filename'] for i in range(len(dataset))]
        last = [i + 1 == len(files) or files[i + 1] != name for i, name in enumerate(files)]
        text, videos, done = [], [], 0
        with torch.no_grad():
            for data in self.runner.test_loop.dataloader:
                inputs = model.data_preprocessor(data)['inputs']
                frames, tokens = inputs['imgs'], inputs['text'][:, : self.WORDS]
                text.append(normalize(model.clip.encode_text(tokens), dim=-1))
                kept = frames[torch.tensor(last[done : done + len(frames)])]
                done += len(frames)
                if len(kept):
                    features = model.clip.encode_image(kept.flatten(0, 1)).unflatten(0, kept.shape[:2])
                    videos.append(normalize(normalize(features, dim=-1).mean(1), dim=-1))
        similarity = (torch.cat(text) @ torch.cat(videos).T).numpy()
        own = np.cumsum([0, *last[:-1]])
        ranks = (similarity >= similarity[np.arange(len(own)), own, None]).sum(1)
        return dict(R1=100 * float((ranks == 1).mean()), MnR=float(ranks.mean()))

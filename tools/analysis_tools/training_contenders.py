"""Training steps of this package, of mmaction2, and of a plain version of the reference, for one batch."""

import mmclip4clip  # noqa: F401  # isort: skip  (first: mmaction2 itself refuses newer mmcv)

import sys
from pathlib import Path
from typing import Any

from contenders import import_clip, read_model_config, stock_config


class Training:
    """Training steps on one batch, as mmengine's runner takes them.

    Args:
        folder (Path): Written by :func:`write_weights`.
        batch (dict): ``imgs`` (V, T, 3, H, W) uint8, ``tokens`` (N, L), padded with zeros, and their
            ``lengths`` (N,).
        threads (int): Threads of torch.
    """

    model: Any
    wrapper: Any
    data: dict

    def __init__(self, folder: Path, batch: dict, threads: int) -> None:
        import torch

        torch.set_num_threads(threads)
        self.prepare(folder, batch)
        self.model.train()

    def prepare(self, folder: Path, batch: dict) -> None:
        """Build the model, the optimizer and the batch."""
        raise NotImplementedError

    def step(self) -> None:
        """Take one step: forward, backward and the update."""
        self.model.train_step(self.data, self.wrapper)

    def gradients(self, names: dict[str, bool]) -> list[Any]:
        """Return gradients of parameters of ``clip.pt``, as arrays, without an update.

        Args:
            names (dict[str, bool]): Names in this model, and whether they are transposed.
        """
        self.model.zero_grad()
        losses = self.model(**self.model.data_preprocessor(self.data, True), mode='loss')
        sum(value for name, value in losses.items() if 'loss' in name).backward()
        found = dict(self.model.named_parameters())
        return [(found[name].grad.T if flip else found[name].grad).numpy() for name, flip in names.items()]


class OurTraining(Training):
    """Our model, with the settings of the config for MSR-VTT."""

    def prepare(self, folder: Path, batch: dict) -> None:
        """Build the model, the optimizer and the batch."""
        from mmaction.registry import MODELS
        from mmengine.optim import build_optim_wrapper
        from mmengine.structures import BaseDataElement

        from mmclip4clip.engine.kept_memory import keep_freed_memory

        keep_freed_memory()  # as tools/train.py does
        cfg = read_model_config(folder)
        self.model = MODELS.build(cfg.model)
        self.wrapper = build_optim_wrapper(self.model, cfg.optim_wrapper)
        names = [f'{i}.mp4' for i in range(len(batch['imgs']))]
        text = [row[None, :length].numpy() for row, length in zip(batch['tokens'], batch['lengths'])]
        self.data = dict(
            inputs=dict(imgs=list(batch['imgs']), tokens=text, text_mask=[row * 0 + 1 for row in text]),
            data_samples=[BaseDataElement(metainfo=dict(video_id=name)) for name in names],
        )


class StockTraining(Training):
    """mmaction2's CLIPSimilarity, with the settings of its config for MSR-VTT."""

    def prepare(self, folder: Path, batch: dict) -> None:
        """Build the model, the optimizer and the batch."""
        import torch
        from mmaction.registry import MODELS
        from mmengine.config import Config
        from mmengine.optim import build_optim_wrapper
        from mmengine.registry import init_default_scope

        clip = import_clip()
        init_default_scope('mmaction')
        cfg = Config.fromfile(stock_config())
        cfg.model.clip_arch = str(folder / 'clip.pt')
        sys.modules['clip'] = clip
        self.model = MODELS.build(cfg.model)
        self.wrapper = build_optim_wrapper(self.model, cfg.optim_wrapper)
        text = torch.nn.functional.pad(batch['tokens'], (0, 77 - batch['tokens'].shape[1]))
        self.data = dict(
            inputs=dict(imgs=list(batch['imgs']), text=list(text)), data_samples=[None] * len(text)
        )


class ReferenceTraining:
    """A plain version of the training step of ArrowLuo/CLIP4Clip with mean pooling, in fp32.

    It was written from the behavior of that code: captions are padded to 32 tokens, all frames pass through
    the tower, BertAdam updates tensor by tensor after gradients were clipped together and alone.
    """

    WORDS = 32

    def __init__(self, folder: Path, batch: dict, threads: int) -> None:
        import torch

        from mmclip4clip.models.data_preprocessor import CLIP_MEAN, CLIP_STD

        torch.set_num_threads(threads)
        clip = import_clip()
        self.clip = clip.load(str(folder / 'clip.pt'), device='cpu')[0].float().train()
        for name, parameter in self.clip.named_parameters():
            # The reference's default freezes what lies below the blocks.
            blocks_and_top = (
                'resblocks',
                'ln_final',
                'text_projection',
                'logit_scale',
                'ln_post',
                'visual.proj',
            )
            parameter.requires_grad = any(part in name for part in blocks_and_top)
        self.parameters = [p for p in self.clip.parameters() if p.requires_grad]
        self.moments = [(torch.zeros_like(p), torch.zeros_like(p)) for p in self.parameters]
        self.batch, self.mean, self.std = (
            batch, torch.tensor(CLIP_MEAN).view(3, 1, 1), torch.tensor(CLIP_STD).view(3, 1, 1)
        )  # fmt: skip

    def loss(self) -> Any:
        """Return the loss of the batch."""
        import torch
        from torch.nn.functional import log_softmax, normalize, pad

        frames = (self.batch['imgs'].float() - self.mean) / self.std
        tokens = pad(self.batch['tokens'], (0, self.WORDS - self.batch['tokens'].shape[1]))
        features = self.clip.encode_image(frames.flatten(0, 1)).unflatten(0, frames.shape[:2])
        videos = normalize(normalize(features, dim=-1).mean(1), dim=-1)
        text = normalize(self.clip.encode_text(tokens), dim=-1)
        logits = self.clip.logit_scale.exp() * text @ videos.T
        return -sum(torch.diag(log_softmax(side, dim=-1)).mean() for side in (logits, logits.T)) / 2

    def step(self) -> None:
        """Take one step: forward, backward and the update."""
        import torch

        self.loss().backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        with torch.no_grad():
            for parameter, (first, second) in zip(self.parameters, self.moments):
                grad = parameter.grad
                torch.nn.utils.clip_grad_norm_(parameter, 1.0)
                first.mul_(0.9).add_(grad, alpha=0.1)
                second.mul_(0.98).addcmul_(grad, grad, value=0.02)
                update = first / (second.sqrt() + 1e-6)
                parameter.sub_(1e-7 * (update + 0.2 * parameter))
                parameter.grad = None

    def gradients(self, names: list[str]) -> list[Any]:
        """Return gradients of parameters by their names, as arrays, without an update."""
        self.clip.zero_grad()
        self.loss().backward()
        found = dict(self.clip.named_parameters())
        return [found[name].grad.numpy() for name in names]

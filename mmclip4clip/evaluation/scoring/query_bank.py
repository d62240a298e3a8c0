from typing import Any

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from mmengine.runner.amp import autocast
from mmengine.structures import BaseDataElement
from torch import Tensor

from ...datasets.annotations import load_annotations, paragraph
from ...datasets.frame_shape import find_step
from ...datasets.pipeline_description import pipelines
from ...datasets.transforms import TokenizeCaptions
from ...models.features import Features, join_features, move_features
from ..metrics.retrieval import NO_BANK

CAPTION_MODES = ('all', 'paragraph')


class QueryBank:
    """Captions that are not those of the test, to tell which test videos answer everything.

    What QB-Norm (arXiv:2112.12777) needs. The captions should be like the queries
    of the test without being among them: those of the training annotations.

    Args:
        ann_file (str): Annotations, see :func:`load_annotations`; the videos are not read.
        tokenizer (str): That of the dataset's ``TokenizeCaptions``, which a loop takes if it is not given.
        max_words (int): Likewise.
        caption_mode (str): ``'all'``, every caption is a query, or ``'paragraph'``,
            those of a video joined are one. Likewise, that of the dataset.
        max_captions (int, optional): The most captions of the bank, drawn at random
            without repetition if there are more. None takes all.
        batch_size (int): Captions that are encoded and scored at a time.
        seed (int): Of the draw, which is the same in every process.

    Raises:
        FileNotFoundError: If ``ann_file`` does not exist.
        ValueError: If the annotations or an argument are at fault.
        OSError: If the tokenizer cannot be loaded.
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
    ) -> None:
        if caption_mode not in CAPTION_MODES:
            raise ValueError(
                f"caption_mode of the query bank must be 'all' or 'paragraph', got {caption_mode!r}"
            )
        for name, value in (('max_captions', max_captions), ('batch_size', batch_size)):
            if value is not None and value < 1:
                raise ValueError(f'{name} of the query bank must be at least 1, got {value}')
        entries = load_annotations(ann_file)
        if caption_mode == 'paragraph':
            captions = [paragraph(e['captions'], f'{ann_file} ({e["video"]})') for e in entries]
        else:
            captions = [c for e in entries for c in e['captions']]
        total = len(captions)
        if max_captions is not None and total > max_captions:
            drawn = np.random.default_rng(seed).choice(total, max_captions, replace=False)
            captions = [captions[i] for i in sorted(drawn)]
        print_log(f'query bank: {len(captions)} of the {total} captions of {ann_file}', logger='current')
        self.captions, self.batch_size, self.caption_mode = captions, batch_size, caption_mode
        self.tokenize = TokenizeCaptions(tokenizer, max_words)

    @torch.no_grad()
    def scores(self, model: Any, videos: Features, device: torch.device, fp16: bool = False) -> Tensor:
        """Score every caption of the bank with every video.

        Args:
            model (nn.Module): With ``encode_text`` and ``similarity``, not wrapped.
            videos (dict[str, Tensor]): Features of V videos, on the device.
            device (torch.device): Where the model is.
            fp16 (bool): Whether to encode in mixed precision, as the loop encodes the test.

        Returns:
            Tensor: Similarity, on the CPU, (B, V).
        """
        rows = []
        for start in range(0, len(self.captions), self.batch_size):
            batch = self.tokenize(dict(captions=self.captions[start : start + self.batch_size]))
            tokens, mask = (torch.from_numpy(batch[k]).to(device) for k in ('tokens', 'text_mask'))
            with autocast(enabled=fp16):
                text = model.encode_text(tokens, mask)
            rows.append(model.similarity(move_features(text, device), videos).cpu())
        return torch.cat(rows)

    def add_scores(
        self, samples: list[BaseDataElement], model: Any, device: torch.device, fp16: bool = False
    ) -> None:
        """Give each sample the ``bank_scores`` (B,) of all captions with its video.

        Every process scores its own videos with the whole bank: nothing is exchanged.

        Args:
            samples (list[BaseDataElement]): This process's videos, with ``video_features``.
            model (nn.Module): As for :meth:`scores`, as are the others.
            device (torch.device): Where the model is.
            fp16 (bool): Whether to encode in mixed precision.
        """
        own = move_features(join_features([sample.video_features for sample in samples]), device)
        for sample, column in zip(samples, self.scores(model, own, device, fp16).T):
            sample.set_field(column, 'bank_scores')


def build_query_bank(cfg: dict | None, metrics: list[BaseMetric], dataset: Any = None) -> QueryBank | None:
    """Build the bank of a loop, or raise now the error that QB-Norm would raise without one.

    Args:
        cfg (dict, optional): Arguments of :class:`QueryBank`. ``tokenizer``, ``max_words`` and
            ``caption_mode`` that it does not have are those of the dataset.
        metrics (list[BaseMetric]): Those of the loop.
        dataset (optional): That of the loop.
    """
    if cfg is None and any('qb_norm' in getattr(m, 'post_processing', ()) for m in metrics):
        raise ValueError(NO_BANK)
    return None if cfg is None else QueryBank(**{**caption_settings(dataset), **cfg})


def caption_settings(dataset: Any) -> dict:
    """Return how the captions of a dataset are read, as arguments of :class:`QueryBank`.

    Of datasets that are joined, the first one that tokenizes captions tells.
    """
    for leaf, transforms in pipelines(dataset):
        step = find_step(transforms, TokenizeCaptions)
        if step is not None:
            found = dict(tokenizer=step.name, max_words=step.max_words)
            mode = getattr(leaf, 'caption_mode', None)
            return dict(found, caption_mode=mode) if mode in CAPTION_MODES else found
    return {}

"""Inferencers in the form of mmengine's, for users of other packages of OpenMMLab."""

import json
from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from mmaction.registry import INFERENCERS
from mmaction.structures import ActionDataSample
from mmengine.dataset import pseudo_collate
from mmengine.infer import BaseInferencer

from ..atomic_file import atomic_file
from .model_loading import get_model, load
from .model_sources import AnyConfig
from .text_inputs import read_texts
from .video_encoder import EncodedBatch
from .video_inputs import VideoInput, files_in, read_videos


class _VideoInferencer(BaseInferencer):
    """Base class: takes paths, folders, arrays and lists of them, and returns a dict.

    Args:
        model (str | Path | Config | dict, optional): Config, its file or its name, see :func:`list_models`;
            or the folder or the name of a dual encoder without ``weights``. Not needed if the checkpoint
            contains its config.
        weights (str | Path, optional): The checkpoint.
        device (str, optional): Such as ``'cuda:0'``; by default a GPU if there is one.
        scope (str): Kept for mmengine; models are built in the scope of mmaction2.
        show_progress (bool): Whether to show a progress bar.

    Raises:
        ValueError: If neither ``model`` nor ``weights`` is given, or see :func:`load`.
    """

    visualize_kwargs: set = set()
    out_file: str

    def __init__(
        self,
        model: AnyConfig | None = None,
        weights: str | Path | None = None,
        device: str | None = None,
        scope: str = 'mmaction',
        show_progress: bool = True,
    ) -> None:
        if weights is not None:
            self.video_text_model = load(weights, model, device)
        elif model is None:
            raise ValueError('give the checkpoint as weights=FILE, or a config or dual encoder as model=...')
        elif isinstance(model, (str, Path)) and not str(model).endswith('.py'):
            self.video_text_model = load(model, None, device)
        else:
            self.video_text_model = get_model(model, None, device)
        self.model, self.pipeline = self.video_text_model.model, self.video_text_model.prepare
        self.collate_fn, self.visualizer = pseudo_collate, None
        self.scope, self.show_progress = scope, show_progress

    def _init_pipeline(self, cfg: Any) -> Callable:
        """Return the pipeline of the model; a config has none for videos without captions."""
        return self.pipeline

    def _inputs_to_list(self, inputs: Any) -> list[VideoInput]:
        """Return the videos; those of folders by the endings of their names, sorted."""
        if isinstance(inputs, (str, PathLike)):
            inputs = [inputs]
        if isinstance(inputs, list):
            inputs = [
                file
                for video in inputs
                for file in (
                    files_in(str(video))
                    if isinstance(video, (str, PathLike)) and Path(video).is_dir()
                    else [video]
                )
            ]
        return read_videos(inputs)

    def _run(
        self, inputs: Any, batch_size: int, captions: bool
    ) -> tuple[list[VideoInput], list[EncodedBatch]]:
        videos = self._inputs_to_list(inputs)
        run = self.video_text_model.run
        batches = run(videos, not captions, captions, batch_size, show_progress=self.show_progress)
        return videos, list(batches)

    def _describe(self, videos: list[VideoInput]) -> list[dict]:
        """Return name, time range and, if it could not be read, the reason, of each video."""
        reasons = self.video_text_model.unreadable
        return [
            dict(video=video.name)
            | {key: getattr(video, key) for key in ('start', 'end') if getattr(video, key) is not None}
            | (dict(unreadable=reasons[position]) if position in reasons else {})
            for position, video in enumerate(videos)
        ]

    def visualize(self, inputs: list, preds: Any, show: bool = False, **kwargs: Any) -> list[np.ndarray]:
        """Return no pictures."""
        return []

    def postprocess(
        self,
        preds: list[dict],
        visualization: list[np.ndarray],
        return_datasample: bool = False,
        out_dir: str | Path = '',
    ) -> dict:
        """Return the results, and write them to ``out_dir``, if given, as JSON.

        Args:
            preds (list[dict]): The results, plain values.
            visualization (list[np.ndarray]): Pictures.
            return_datasample (bool): Whether to return data samples in place of dicts.
            out_dir (str | Path): Folder, created if needed; '' writes nothing.
        """
        if out_dir:
            Path(out_dir).mkdir(parents=True, exist_ok=True)
            with atomic_file(Path(out_dir, self.out_file)) as file:
                file.write(json.dumps(preds, indent=1).encode())
        predictions: list = preds
        if return_datasample:
            predictions = [ActionDataSample(metainfo=prediction) for prediction in preds]
        return dict(predictions=predictions, visualization=visualization)


@INFERENCERS.register_module()
class VideoRetrievalInferencer(_VideoInferencer):
    """Find videos by text.

    Examples:
        >>> from mmclip4clip.apis import VideoRetrievalInferencer
        >>> inferencer = VideoRetrievalInferencer(weights='epoch_5.pth')  # doctest: +SKIP
        >>> inferencer('videos/', text=['a dog runs'], top_k=1)['predictions']  # doctest: +SKIP
        [{'text': 'a dog runs', 'videos': [{'video': 'videos/a.mp4', 'score': 0.31}]}]
        >>> VideoRetrievalInferencer.out_file
        'retrieval.json'
    """

    out_file = 'retrieval.json'

    def __call__(
        self,
        inputs: Any,
        return_datasamples: bool = False,
        batch_size: int = 16,
        *,
        text: Any = None,
        top_k: int = 10,
        out_dir: str | Path = '',
    ) -> dict:
        """Rank videos for each text, or encode them only.

        Args:
            inputs (Any): Videos: a path, a folder, or a list of them and of the other forms of
                :meth:`VideoTextModel.encode_videos`.
            return_datasamples (bool): Whether predictions are data samples in place of dicts.
            batch_size (int): Videos per batch.
            text (str | list[str], optional): Queries. Without any, the features are returned only.
            top_k (int): Number of videos per query.
            out_dir (str | Path): Folder for ``retrieval.json`` and ``features.npz``; '' writes nothing.

        Returns:
            dict: ``predictions``, one per query: its ``text`` and its best ``videos``, each with ``video``,
            ``score`` and, for a part of a file, ``start`` and ``end``. ``videos``: all of them, with
            ``unreadable`` where one could not be read. ``features``: of all videos, see
            :meth:`VideoTextModel.encode_videos`. ``visualization``: empty.

        Raises:
            ValueError: If ``top_k`` is less than 1, or see :meth:`VideoTextModel.encode_videos`.
        """
        if isinstance(top_k, bool) or not isinstance(top_k, int) or top_k < 1:
            raise ValueError(f'top_k must be a positive whole number, got {top_k!r}')
        queries = [] if text is None else read_texts(text)
        videos, batches = self._run(inputs, batch_size, captions=False)
        features = self.video_text_model.join(batches, len(videos))
        described, predictions = self._describe(videos), []
        if queries:
            scores = self.video_text_model.similarity(queries, features)
            for query, row in zip(queries, scores):
                best = [v for v in np.argsort(-row, kind='stable') if np.isfinite(row[v])][:top_k]
                ranked = [dict(described[v], score=float(row[v])) for v in best]
                predictions.append(dict(text=query, videos=ranked))
        results = self.postprocess(predictions, [], return_datasamples, out_dir)
        if out_dir:
            parts: dict[str, Any] = features if isinstance(features, dict) else dict(video=features)
            with atomic_file(Path(out_dir, 'features.npz')) as file:
                np.savez(file, **parts)
        return dict(results, videos=described, features=features)


@INFERENCERS.register_module()
class VideoCaptionInferencer(_VideoInferencer):
    """Write captions for videos, with the checkpoint of a :class:`CLIP4ClipCaptioner`.

    Raises:
        TypeError: If the model writes no captions.

    Examples:
        >>> from mmclip4clip.apis import VideoCaptionInferencer
        >>> inferencer = VideoCaptionInferencer(weights='captioner.pth')  # doctest: +SKIP
        >>> inferencer(['a.mp4', 'b.mp4'], out_dir='captions')['predictions'][0]  # doctest: +SKIP
        {'video': 'a.mp4', 'caption': 'a dog runs', 'score': -0.4}
        >>> VideoCaptionInferencer.out_file
        'captions.json'
    """

    out_file = 'captions.json'

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.video_text_model.check_captioner()

    def __call__(
        self,
        inputs: Any,
        return_datasamples: bool = False,
        batch_size: int = 16,
        *,
        out_dir: str | Path = '',
    ) -> dict:
        """Write a caption for each video.

        Args:
            inputs (Any): Videos, see :meth:`VideoRetrievalInferencer.__call__`.
            return_datasamples (bool): Whether predictions are data samples in place of dicts.
            batch_size (int): Videos per batch.
            out_dir (str | Path): Folder for ``captions.json``; '' writes nothing.

        Returns:
            dict: ``predictions``, one per video: ``video``, ``caption``, its ``score``, see
            :class:`GenerationOptions`, and ``start`` and ``end`` of a part of a file. A video that could not
            be read has the reason as ``unreadable`` and no caption. ``visualization``: empty.
        """
        videos, batches = self._run(inputs, batch_size, captions=True)
        predictions = self._describe(videos)
        for batch in batches:
            for position, caption, score in zip(batch.positions, batch.captions or (), batch.scores or ()):
                predictions[position] |= dict(caption=caption, score=float(score))
        return self.postprocess(predictions, [], return_datasamples, out_dir)

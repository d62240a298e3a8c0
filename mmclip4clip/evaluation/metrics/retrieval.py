from collections.abc import Sequence
from typing import Any

import numpy as np
from mmaction.registry import METRICS
from mmengine.evaluator import BaseMetric

from ..cosine_scores import CosineScores
from ..functional import group_ranks, ranks_of_captions, ranks_of_videos, recall_figures
from ..functional.post_processing import check_positive, dual_softmax_rows, qb_norm_rows
from ..records import Scores, VideoRecord, make_record, stack_scores
from ..report_context import ReportContext
from ..unreadable import count_unreadable

PROTOCOLS = ('caption_groups', 'best_caption')
POST_PROCESSING = ('dual_softmax', 'qb_norm')
NO_BANK = (
    "post_processing 'qb_norm' needs the scores of a query bank, the captions of the training "
    "annotations: evaluate with val_cfg=dict(type='VideoTextValLoop', query_bank=dict("
    "ann_file='train.json', tokenizer=..., max_words=...)), and the same for test_cfg"
)


def retrieval_figures(
    scores: Scores,
    recall_at: Sequence[int] = (1, 5, 10),
    protocol: str = 'caption_groups',
    lower_median: bool = False,
) -> dict[str, float]:
    """Compute the retrieval metrics of an evaluation in both directions.

    Args:
        scores (Scores): All scores.
        recall_at (Sequence[int]): Values K of the recalls R@K.
        protocol (str): Argument of :func:`ranks_of_captions`.
        lower_median (bool): Argument of :func:`recall_figures`, from text to video.

    Returns:
        dict[str, float]: ``R1 R5 R10 MdR MnR`` from text to video, the same with the prefix ``v2t_`` from
        video to text, and, if videos have groups, ``group_R1``, the percentage of captions whose own video
        ranks first in its group.

    Examples:
        >>> import numpy as np
        >>> from mmclip4clip.evaluation.records import Scores
        >>> similarity = np.array([[.9, .1], [.8, .2]])  # both captions prefer the first video
        >>> figures = retrieval_figures(Scores(similarity, np.array([0, 1]), None))
        >>> figures['R1'], figures['MnR']
        (50.0, 1.5)
    """
    similarity, video_index, groups = scores[:3]
    to_video, to_caption = _rank_both_ways(similarity, video_index, protocol)
    figures = recall_figures(to_video, recall_at, lower_median)
    figures.update(_with_prefix('v2t_', recall_figures(to_caption, recall_at)))
    if groups is not None:
        ranks = group_ranks(similarity, video_index, groups)
        if len(ranks):
            figures['group_R1'] = recall_figures(ranks, (1,))['R1']
    return figures


def _rank_both_ways(similarity: Any, video_index: np.ndarray, protocol: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the ranks of videos (N,) and of captions (V,); scores that are computed are computed once."""
    complete = len(np.unique(video_index)) == similarity.shape[1]  # otherwise the functions below complain
    if isinstance(similarity, CosineScores) and complete and protocol in PROTOCOLS:
        return similarity.ranks(video_index, protocol)
    return ranks_of_videos(similarity, video_index), ranks_of_captions(similarity, video_index, protocol)


def post_processed_figures(
    scores: Scores,
    post_processing: Sequence[str],
    recall_at: Sequence[int] = (1, 5, 10),
    protocol: str = 'caption_groups',
    temperature: float = 100.0,
    qb_beta: float = 20.0,
    qb_k: int = 1,
) -> dict[str, float]:
    """Compute retrieval metrics after post-processing, which are not comparable with the plain ones.

    Args:
        scores (Scores): All scores; ``'qb_norm'`` needs ``bank``.
        post_processing (Sequence[str]): ``'dual_softmax'``, ``'qb_norm'`` or both.
        recall_at (Sequence[int]): Values K of the recalls R@K.
        protocol (str): Argument of :func:`ranks_of_captions`.
        temperature (float): Argument of :func:`dual_softmax`.
        qb_beta (float): Argument ``beta`` of :func:`qb_norm`.
        qb_k (int): Argument ``k`` of :func:`qb_norm`.

    Returns:
        dict[str, float]: ``dsl_R1 ...`` and ``dsl_v2t_R1 ...`` for dual softmax, and ``qb_R1 ...`` for
        QB-Norm, which applies from text to video only.

    Raises:
        ValueError: If a name is unknown, or QB-Norm has no bank.

    Examples:
        >>> import numpy as np
        >>> from mmclip4clip.evaluation.records import Scores
        >>> scores = Scores(np.array([[.9, .1], [.3, .2]]), np.array([0, 1]), None)
        >>> post_processed_figures(scores, ['dual_softmax'])['dsl_R1']
        100.0
    """
    _check_names(post_processing)
    similarity, video_index, figures = scores.similarity, scores.video_index, {}
    if 'dual_softmax' in post_processing:
        ranks = ranks_of_videos(dual_softmax_rows(similarity, temperature, axis=0), video_index)
        figures.update(_with_prefix('dsl_', recall_figures(ranks, recall_at)))
        ranks = ranks_of_captions(dual_softmax_rows(similarity, temperature, axis=1), video_index, protocol)
        figures.update(_with_prefix('dsl_v2t_', recall_figures(ranks, recall_at)))
    if 'qb_norm' in post_processing:
        if scores.bank is None:
            raise ValueError(NO_BANK)
        ranks = ranks_of_videos(qb_norm_rows(similarity, scores.bank, qb_beta, qb_k), video_index)
        figures.update(_with_prefix('qb_', recall_figures(ranks, recall_at)))
    return figures


def _check_names(post_processing: Sequence[str]) -> None:
    if isinstance(post_processing, str) or set(post_processing) - set(POST_PROCESSING):
        raise ValueError(
            f'post_processing must be a list of any of {POST_PROCESSING}, got {post_processing!r}'
        )


def _with_prefix(prefix: str, figures: dict[str, float]) -> dict[str, float]:
    return {prefix + key: value for key, value in figures.items()}


@METRICS.register_module()
class VideoTextRetrievalMetric(BaseMetric):
    """Compute recall at K, median rank and mean rank in both directions.

    The keys are those of mmaction2, ``retrieval/R1 R5 R10 MdR MnR`` from text to video, and
    ``retrieval/v2t_*`` from video to text. Annotations with groups add ``retrieval/group_R1``. Each video is
    ranked once, even if it has several captions. ``retrieval/unreadable_videos`` is the number of videos that
    could not be read, which count as missed.

    ``post_processing`` adds ``retrieval/dsl_R1 ...``, ``retrieval/dsl_v2t_R1 ...`` and ``retrieval/qb_R1
    ...`` without changing the others. They are not comparable with the plain metrics, which score each query
    alone: dual softmax uses all test queries at once, and QB-Norm uses training captions.

    Args:
        recall_at (Sequence[int]): Values K of the recalls R@K.
        v2t_protocol (str): ``'caption_groups'`` or ``'best_caption'``, see
            :func:`mmclip4clip.evaluation.ranks_of_captions`.
        post_processing (Sequence[str]): ``'dual_softmax'``, ``'qb_norm'`` or both. ``'qb_norm'`` needs a
            ``query_bank`` in the loop.
        temperature (float): Argument of :func:`mmclip4clip.evaluation.dual_softmax`.
        qb_beta (float): Argument ``beta`` of :func:`mmclip4clip.evaluation.qb_norm`.
        qb_k (int): Argument ``k`` of :func:`mmclip4clip.evaluation.qb_norm`.
        lower_median (bool): Whether the text-to-video median of an even number of ranks is the lower of the
            two middle ranks instead of their mean. The reference does this for datasets with several captions
            per video, but not for those with one.
        collect_device (str): ``'cpu'`` or ``'gpu'``.
        prefix (str, optional): Prefix of the keys instead of ``retrieval``.

    Raises:
        ValueError: If an argument is invalid.

    Examples:
        >>> val_evaluator = dict(type='VideoTextRetrievalMetric')  # in a config
        >>> test_evaluator = dict(type='VideoTextRetrievalMetric', post_processing=['dual_softmax'])
    """

    default_prefix = 'retrieval'
    reads_scores_in_blocks = True  # see score_videos

    def __init__(
        self,
        recall_at: Sequence[int] = (1, 5, 10),
        v2t_protocol: str = 'caption_groups',
        post_processing: Sequence[str] = (),
        temperature: float = 100.0,
        qb_beta: float = 20.0,
        qb_k: int = 1,
        lower_median: bool = False,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        if v2t_protocol not in ('caption_groups', 'best_caption'):
            raise ValueError(f"v2t_protocol must be 'caption_groups' or 'best_caption', got {v2t_protocol!r}")
        _check_names(post_processing)
        check_positive(temperature=temperature, qb_beta=qb_beta, qb_k=qb_k)
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.recall_at, self.v2t_protocol, self.lower_median = tuple(recall_at), v2t_protocol, lower_median
        self.post_processing = tuple(post_processing)
        self.post_options: dict[str, Any] = dict(temperature=temperature, qb_beta=qb_beta, qb_k=qb_k)
        self.records: list[VideoRecord] = []  # of the last evaluation, on the main process

    def process(self, data_batch, data_samples: Sequence[dict]) -> None:
        """Collect the records of a batch without features."""
        self.results.extend(make_record(sample).without_features() for sample in data_samples)

    def compute_metrics(self, results: list[VideoRecord]) -> dict[str, float]:
        """Compute the metrics from the records of all videos."""
        self.records = results
        scores = stack_scores(results)
        figures = retrieval_figures(scores, self.recall_at, self.v2t_protocol, self.lower_median)
        figures.update(
            post_processed_figures(
                scores, self.post_processing, self.recall_at, self.v2t_protocol, **self.post_options
            )
        )
        return dict(figures, unreadable_videos=count_unreadable(results))

    def report(self, context: ReportContext) -> None:
        """Log a table of the metrics, and draw the best and worst queries."""
        from ..reporting.retrieval import report_retrieval  # imports matplotlib only when needed

        if self.records and context.gallery is not None:
            report_retrieval(context, self.records, str(self.prefix), self.v2t_protocol)

from collections.abc import Sequence
from typing import Any

from mmaction.registry import METRICS
from mmengine.evaluator import BaseMetric

from ..functional import (
    dual_softmax,
    group_ranks,
    qb_norm,
    ranks_of_captions,
    ranks_of_videos,
    recall_figures,
)
from ..functional.post_processing import check_positive
from ..records import Scores, VideoRecord, make_record, stack_scores
from ..report_context import ReportContext
from ..unreadable import count_unreadable

POST_PROCESSING = ('dual_softmax', 'qb_norm')
NO_BANK = (
    "post_processing 'qb_norm' needs the scores of a bank of captions, those of the training "
    "annotations: evaluate with val_cfg=dict(type='VideoTextValLoop', query_bank=dict("
    "ann_file='train.json', tokenizer=..., max_words=...)), and test_cfg alike"
)


def retrieval_figures(
    scores: Scores,
    recall_at: Sequence[int] = (1, 5, 10),
    protocol: str = 'caption_groups',
    lower_median: bool = False,
) -> dict[str, float]:
    """Compute all figures of an evaluation.

    Args:
        scores (Scores): All scores.
        recall_at (Sequence[int]): The K of each R@K.
        protocol (str): Of :func:`ranks_of_captions`.
        lower_median (bool): Of :func:`recall_figures`, from text to video.

    Returns:
        dict[str, float]: ``R1 R5 R10 MdR MnR`` from text to video, the same with
        ``v2t_`` from video to text, and, if videos have groups, ``group_R1``:
        the captions, in percent, whose own video is first in its group.
    """
    similarity, video_index, groups = scores[:3]
    figures = recall_figures(ranks_of_videos(similarity, video_index), recall_at, lower_median)
    backwards = recall_figures(ranks_of_captions(similarity, video_index, protocol), recall_at)
    figures.update(_with_prefix('v2t_', backwards))
    if groups is not None:
        ranks = group_ranks(similarity, video_index, groups)
        if len(ranks):
            figures['group_R1'] = recall_figures(ranks, (1,))['R1']
    return figures


def post_processed_figures(
    scores: Scores,
    post_processing: Sequence[str],
    recall_at: Sequence[int] = (1, 5, 10),
    protocol: str = 'caption_groups',
    temperature: float = 100.0,
    qb_beta: float = 20.0,
    qb_k: int = 1,
) -> dict[str, float]:
    """Compute figures to stand beside the plain ones, with which they are not comparable.

    Args:
        scores (Scores): All scores; with ``bank`` for ``'qb_norm'``.
        post_processing (Sequence[str]): Of ``'dual_softmax'`` and ``'qb_norm'``.
        recall_at (Sequence[int]): The K of each R@K.
        protocol (str): Of :func:`ranks_of_captions`.
        temperature (float): Of :func:`dual_softmax`.
        qb_beta (float): The ``beta`` of :func:`qb_norm`.
        qb_k (int): The ``k`` of :func:`qb_norm`.

    Returns:
        dict[str, float]: ``dsl_R1`` and so on and ``dsl_v2t_R1`` and so on for dual
        softmax, ``qb_R1`` and so on for QB-Norm, from text to video only.

    Raises:
        ValueError: If a name is unknown, or there is no bank for QB-Norm.
    """
    _check_names(post_processing)
    similarity, video_index, figures = scores.similarity, scores.video_index, {}
    if 'dual_softmax' in post_processing:
        ranks = ranks_of_videos(dual_softmax(similarity, temperature, axis=0), video_index)
        figures.update(_with_prefix('dsl_', recall_figures(ranks, recall_at)))
        ranks = ranks_of_captions(dual_softmax(similarity, temperature, axis=1), video_index, protocol)
        figures.update(_with_prefix('dsl_v2t_', recall_figures(ranks, recall_at)))
    if 'qb_norm' in post_processing:
        if scores.bank is None:
            raise ValueError(NO_BANK)
        ranks = ranks_of_videos(qb_norm(similarity, scores.bank, qb_beta, qb_k), video_index)
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
    """Recall at K, median and mean rank, from text to video and back.

    Keys are mmaction2's, ``retrieval/R1 R5 R10 MdR MnR``, with ``retrieval/v2t_*``
    beside them, and ``retrieval/group_R1`` where annotations have groups. Each
    video is one column however many captions it has. ``retrieval/unreadable_videos``
    says how many could not be read; they count as missed.

    With ``post_processing``, ``retrieval/dsl_R1 ...``, ``retrieval/dsl_v2t_R1 ...`` and
    ``retrieval/qb_R1 ...`` stand beside these, which it never changes. The two kinds are
    not comparable: dual softmax looks at all test queries at once, QB-Norm at training captions,
    where a plain figure is that of a query which comes alone.

    Args:
        recall_at (Sequence[int]): The K of each R@K.
        v2t_protocol (str): ``'caption_groups'`` or ``'best_caption'``, see
            :func:`mmclip4clip.evaluation.ranks_of_captions`.
        post_processing (Sequence[str]): ``'dual_softmax'``, ``'qb_norm'`` or both. The
            latter needs a ``query_bank`` in the loop.
        temperature (float): Of :func:`mmclip4clip.evaluation.dual_softmax`.
        qb_beta (float): The ``beta`` of :func:`mmclip4clip.evaluation.qb_norm`.
        qb_k (int): The ``k`` of the same.
        lower_median (bool): Whether the median rank from text to video is the lower one of the two in
            the middle, as the reference has it for videos with several captions; for videos with one
            each it takes their mean, as here without this.
        collect_device (str): ``'cpu'`` or ``'gpu'``.
        prefix (str, optional): Replaces ``retrieval``.

    Raises:
        ValueError: If an argument is none of the above.
    """

    default_prefix = 'retrieval'

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
        """Keep what a batch of evaluated videos leaves, but for the features."""
        self.results.extend(make_record(sample).without_features() for sample in data_samples)

    def compute_metrics(self, results: list[VideoRecord]) -> dict[str, float]:
        """Compute the figures from the records of all videos."""
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
        """Log a table of the figures and draw the best and worst queries."""
        from ..reporting.retrieval import report_retrieval  # it draws: matplotlib is imported when needed

        if self.records and context.gallery is not None:
            report_retrieval(context, self.records, str(self.prefix), self.v2t_protocol)

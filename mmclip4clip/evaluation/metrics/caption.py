from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from mmaction.registry import METRICS
from mmengine.evaluator import BaseMetric

from ..functional.caption_scores import CaptionScores, caption_figures, check_scorers
from ..records import RecordSource, VideoRecord, as_record, name_videos
from ..report_context import ReportContext
from ..unreadable import count_unreadable

NO_CAPTION = (
    "the data samples have no 'generated' caption, because the model is not a captioner: test a "
    'CLIP4ClipCaptioner, or remove {} from the evaluator'
)


@METRICS.register_module()
class VideoCaptionMetric(BaseMetric):
    """Compute BLEU, METEOR, ROUGE-L and CIDEr of generated captions with pycocoevalcap.

    All scores are multiplied by 100. The keys are those of pycocoevalcap: ``caption/Bleu_1`` to
    ``caption/Bleu_4``, ``caption/METEOR``, ``caption/ROUGE_L`` and ``caption/CIDEr``, see
    :func:`mmclip4clip.evaluation.caption_figures`. ``caption/empty`` is the number of generated captions
    without a word, and ``caption/unreadable_videos`` the number of unreadable videos. Both score 0.

    Args:
        java (bool): Whether to use the PTB tokenizer and compute METEOR, as in published results. On machines
            without Java, use False for a plain tokenizer (:func:`mmclip4clip.evaluation.plain_tokens`)
            without METEOR.
        collect_device (str): ``'cpu'`` or ``'gpu'``.
        prefix (str, optional): Prefix of the keys instead of ``caption``.

    Raises:
        ImportError: If pycocoevalcap is not installed. Raised by ``__init__``, before the test starts.
        RuntimeError: If ``java`` is true and Java does not run. Raised by ``__init__``.

    Examples:
        >>> test_evaluator = dict(type='VideoCaptionMetric', java=False)  # in a config
    """

    default_prefix = 'caption'
    reads_scores_in_blocks = True  # see score_videos

    def __init__(self, java: bool = True, collect_device: str = 'cpu', prefix: str | None = None) -> None:
        check_scorers(java)
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.java = java
        self.records: list[VideoRecord] = []  # of the last evaluation, on the main process

    def process(self, data_batch, data_samples: Sequence[dict]) -> None:
        """Collect the generated and reference captions of a batch.

        Raises:
            KeyError: If the model generated no captions.
        """
        self.results.extend(captioned_record(sample, self) for sample in data_samples)

    def compute_metrics(self, results: list[VideoRecord]) -> dict[str, float]:
        """Compute the metrics from the records of all videos, and set ``cider`` of each record.

        Raises:
            ValueError: If a video occurs twice, or its references are missing or empty.
        """
        scores = score_captions(results, self.java)
        self.records = [
            replace(record, cider=scores.cider[name]) for record, name in zip(results, name_videos(results))
        ]
        return scores.figures

    def report(self, context: ReportContext) -> None:
        """Log a table of the metrics, and show generated captions with frames of their videos."""
        from ..reporting.captions import report_captions  # imports matplotlib only when needed

        if self.records and context.page is not None:
            report_captions(context, self.records, str(self.prefix))


def score_captions(records: Sequence[RecordSource], java: bool = True) -> CaptionScores:
    """Score the generated captions of an evaluation or of a dump.

    Args:
        records (Sequence[VideoRecord | Mapping]): One record with ``generated`` per video, or the entries of
            :func:`read_dump`.
        java (bool): See :func:`mmclip4clip.evaluation.caption_figures`.

    Returns:
        CaptionScores: Scores of :func:`mmclip4clip.evaluation.caption_figures`, and the number of
        ``unreadable_videos``, which are not counted in ``empty``.

    Raises:
        ImportError: If pycocoevalcap is not installed.
        RuntimeError: If Java is needed and fails.
        ValueError: If a video occurs twice, or its references are missing or empty.

    Examples:
        >>> from mmclip4clip.evaluation import VideoRecord
        >>> records = [
        ...     VideoRecord('v1', 'v1.mp4', ['a red cat sleeps'], generated='a red cat sleeps'),
        ...     VideoRecord('v2', 'v2.mp4', ['two dogs play'], generated='two dogs run')]
        >>> round(score_captions(records, java=False).figures['Bleu_1'], 1)
        85.7
    """
    videos = [as_record(record) for record in records]
    names = name_videos(videos)
    generated: dict[str, Any] = {name: video.generated for name, video in zip(names, videos)}
    references = {name: video.captions for name, video in zip(names, videos)}
    figures, cider = caption_figures(references, generated, java)  # checks that captions are strings
    unreadable = count_unreadable(videos)
    return CaptionScores(
        dict(figures, empty=figures['empty'] - unreadable, unreadable_videos=unreadable), cider
    )


def captioned_record(source: RecordSource, metric: BaseMetric) -> VideoRecord:
    """Return the record of a video with a generated caption, without features and scores.

    Args:
        source (VideoRecord | Mapping): See :func:`as_record`.
        metric (BaseMetric): Metric that needs the caption, for the error message.

    Raises:
        KeyError: If there is no generated caption.
    """
    record = as_record(source)
    if record.generated is None:
        raise KeyError(NO_CAPTION.format(type(metric).__name__))
    return replace(record.without_features(), scores=None, bank_scores=None)

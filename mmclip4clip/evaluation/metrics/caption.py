from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from mmaction.registry import METRICS
from mmengine.evaluator import BaseMetric

from ..functional.captioning import CaptionScores, caption_figures, check_scorers
from ..records import RecordSource, VideoRecord, as_record, name_videos
from ..report_context import ReportContext
from ..unreadable import count_unreadable

NO_CAPTION = (
    "the data samples carry no 'generated' caption, as the model is not a captioner: test a "
    'CLIP4ClipCaptioner, or take {} out of the evaluator'
)


@METRICS.register_module()
class VideoCaptionMetric(BaseMetric):
    """BLEU, METEOR, ROUGE-L and CIDEr of generated captions, times 100, by pycocoevalcap.

    Keys are pycocoevalcap's: ``caption/Bleu_1`` to ``caption/Bleu_4``, ``caption/METEOR``,
    ``caption/ROUGE_L`` and ``caption/CIDEr``; see :func:`mmclip4clip.evaluation.caption_figures`.
    ``caption/empty`` says how many generated captions have no word, and
    ``caption/unreadable_videos`` how many videos could not be read; both score 0.

    Args:
        java (bool): Whether to tokenize by the PTB tokenizer and compute METEOR, as
            published figures do. False is for machines without Java: a plain
            tokenizer, see :func:`mmclip4clip.evaluation.plain_tokens`, and no METEOR.
        collect_device (str): ``'cpu'`` or ``'gpu'``.
        prefix (str, optional): Replaces ``caption``.

    Raises:
        ImportError: If pycocoevalcap is not installed. Said at construction,
            before the test begins.
        RuntimeError: If Java is wanted and does not run, likewise.
    """

    default_prefix = 'caption'

    def __init__(self, java: bool = True, collect_device: str = 'cpu', prefix: str | None = None) -> None:
        check_scorers(java)
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.java = java
        self.records: list[VideoRecord] = []  # of the last evaluation, on the main process

    def process(self, data_batch, data_samples: Sequence[dict]) -> None:
        """Keep the captions of a batch of videos, generated and right ones.

        Raises:
            KeyError: If the model generated none.
        """
        self.results.extend(captioned_record(sample, self) for sample in data_samples)

    def compute_metrics(self, results: list[VideoRecord]) -> dict[str, float]:
        """Compute the figures from the records of all videos, and give each its ``cider``.

        Raises:
            ValueError: If a video comes twice, or has no or an empty reference.
        """
        scores = score_captions(results, self.java)
        self.records = [
            replace(record, cider=scores.cider[name]) for record, name in zip(results, name_videos(results))
        ]
        return scores.figures

    def report(self, context: ReportContext) -> None:
        """Log a table of the figures and show generated captions beside their videos."""
        from ..reporting.captions import report_captions  # it draws: matplotlib is imported when needed

        if self.records and context.page is not None:
            report_captions(context, self.records, str(self.prefix))


def score_captions(records: Sequence[RecordSource], java: bool = True) -> CaptionScores:
    """Score the generated captions of an evaluation, or of a dump of one.

    Args:
        records (Sequence[VideoRecord | Mapping]): One a video, with ``generated``; also as
            :func:`read_dump` returns them.
        java (bool): As for :func:`mmclip4clip.evaluation.caption_figures`.

    Returns:
        CaptionScores: As of the same, and ``unreadable_videos``, which are not counted in ``empty``.

    Raises:
        ImportError: If pycocoevalcap is not installed.
        RuntimeError: If Java is needed and fails.
        ValueError: If a video comes twice, or has no or an empty reference.
    """
    videos = [as_record(record) for record in records]
    names = name_videos(videos)
    generated: dict[str, Any] = {name: video.generated for name, video in zip(names, videos)}
    references = {name: video.captions for name, video in zip(names, videos)}
    figures, cider = caption_figures(references, generated, java)  # which refuses what is no string
    unreadable = count_unreadable(videos)
    return CaptionScores(
        dict(figures, empty=figures['empty'] - unreadable, unreadable_videos=unreadable), cider
    )


def captioned_record(source: RecordSource, metric: BaseMetric) -> VideoRecord:
    """Return the record of a video that has a generated caption, without features and scores.

    Args:
        source (VideoRecord | Mapping): As for :func:`as_record`.
        metric (BaseMetric): Who needs the caption.

    Raises:
        KeyError: If it has none.
    """
    record = as_record(source)
    if record.generated is None:
        raise KeyError(NO_CAPTION.format(type(metric).__name__))
    return replace(record.without_features(), scores=None, bank_scores=None)

from collections.abc import Sequence

from mmaction.registry import METRICS
from mmengine.evaluator import BaseMetric

from ..functional.captioning import CaptionScores, caption_figures, check_scorers
from ..records import describe_video, name_videos

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
        self.records: list[dict] = []  # of the last evaluation, on the main process

    def process(self, data_batch, data_samples: Sequence[dict]) -> None:
        """Keep the captions of a batch of videos, generated and right ones.

        Raises:
            KeyError: If the model generated none.
        """
        self.results.extend(describe_captioned(sample, self) for sample in data_samples)

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Compute the figures from the records of all videos, and give each its ``cider``.

        Raises:
            ValueError: If a video comes twice, or has no or an empty reference.
        """
        scores = score_captions(results, self.java)
        self.records = [
            dict(record, cider=scores.cider[name]) for record, name in zip(results, name_videos(results))
        ]
        return scores.figures


def score_captions(records: Sequence[dict], java: bool = True) -> CaptionScores:
    """Score the generated captions of an evaluation, or of a dump of one.

    Args:
        records (Sequence[dict]): One a video, as :func:`describe_video` makes them of a captioner.
        java (bool): As for :func:`mmclip4clip.evaluation.caption_figures`.

    Returns:
        CaptionScores: As of the same, and ``unreadable_videos``, which are not counted in ``empty``.

    Raises:
        ImportError: If pycocoevalcap is not installed.
        RuntimeError: If Java is needed and fails.
        ValueError: If a video comes twice, or has no or an empty reference.
    """
    names = name_videos(records)
    figures, cider = caption_figures(
        {name: r['captions'] for name, r in zip(names, records)},
        {name: r['generated'] for name, r in zip(names, records)},
        java,
    )
    unreadable = float(sum('unreadable' in record for record in records))
    return CaptionScores(
        dict(figures, empty=figures['empty'] - unreadable, unreadable_videos=unreadable), cider
    )


def describe_captioned(sample: dict, metric: BaseMetric) -> dict:
    """Make the record of a video that has a generated caption.

    Raises:
        KeyError: If it has none; ``metric`` is who needs it.
    """
    if 'generated' not in sample:
        raise KeyError(NO_CAPTION.format(type(metric).__name__))
    return describe_video(sample)

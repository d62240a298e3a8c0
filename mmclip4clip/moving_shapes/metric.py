from collections.abc import Sequence

from mmaction.registry import METRICS
from mmengine.evaluator import BaseMetric

from ..evaluation.metrics.caption import captioned_record
from ..evaluation.records import VideoRecord
from .caption_parser import ParsedCaption, parse_caption


@METRICS.register_module()
class MovingShapesCaptionMetric(BaseMetric):
    """Percentage of generated captions with the correct color, shape and motion.

    ``shapes/colour``, ``shapes/shape`` and ``shapes/motion`` are the percentages of captions that name the
    correct value and no other, ``shapes/all_right`` that of captions with three correct values. The correct
    values are parsed from the references by :func:`mmclip4clip.moving_shapes.parse_caption`.

    Examples:
        >>> from mmaction.registry import METRICS
        >>> metric = METRICS.build(dict(type='MovingShapesCaptionMetric'))
        >>> metric.compute_metrics([[True, True, False], [True, False, False]])
        {'colour': 100.0, 'shape': 50.0, 'motion': 0.0, 'all_right': 0.0}
    """

    default_prefix = 'shapes'

    def process(self, data_batch, data_samples: Sequence[dict]) -> None:
        """Compare each generated caption with the references of its video.

        Raises:
            KeyError: If the model generated no caption.
            ValueError: If the references are not of moving shapes.
        """
        for sample in data_samples:
            record = captioned_record(sample, self)
            truth, parsed = read_references(record), parse_caption(record.generated or '')
            self.results.append([a == b for a, b in zip(parsed, truth)])

    def compute_metrics(self, results: list[list[bool]]) -> dict[str, float]:
        """Compute the percentages."""
        figures = {
            name: 100 * sum(column) / len(results)
            for name, column in zip(ParsedCaption._fields, zip(*results))
        }
        return dict(figures, all_right=100 * sum(map(all, results)) / len(results))


def read_references(record: VideoRecord) -> ParsedCaption:
    """Parse the references of a video, which must agree.

    Raises:
        ValueError: If a reference is incomplete, or references contradict each other.
    """
    parsed = {parse_caption(caption) for caption in record.captions}
    if len(parsed) != 1 or None in next(iter(parsed)):
        raise ValueError(
            f'video {record.video_id!r}: expected references that name one colour, shape and '
            f'motion of moving shapes, got {record.captions!r:.200}'
        )
    return parsed.pop()

from collections.abc import Sequence

from mmaction.registry import METRICS
from mmengine.evaluator import BaseMetric

from ..evaluation.metrics.caption import captioned_record
from ..evaluation.records import VideoRecord
from .captions import SaidOfShape, parse_caption


@METRICS.register_module()
class MovingShapesCaptionMetric(BaseMetric):
    """How many generated captions of moving shapes say what is to be seen, in percent.

    ``shapes/colour``, ``shapes/shape`` and ``shapes/motion`` count captions that name the right one
    and no other, ``shapes/all_right`` those with all three right; see
    :func:`mmclip4clip.moving_shapes.parse_caption`. What is right is read from the references.
    """

    default_prefix = 'shapes'

    def process(self, data_batch, data_samples: Sequence[dict]) -> None:
        """Compare each generated caption with the references of its video.

        Raises:
            KeyError: If the model generated none.
            ValueError: If the references are not of moving shapes.
        """
        for sample in data_samples:
            record = captioned_record(sample, self)
            truth, said = read_references(record), parse_caption(record.generated or '')
            self.results.append([a == b for a, b in zip(said, truth)])

    def compute_metrics(self, results: list[list[bool]]) -> dict[str, float]:
        """Compute the percentages."""
        figures = {
            name: 100 * sum(column) / len(results) for name, column in zip(SaidOfShape._fields, zip(*results))
        }
        return dict(figures, all_right=100 * sum(map(all, results)) / len(results))


def read_references(record: VideoRecord) -> SaidOfShape:
    """Read what the references of a video agree on.

    Raises:
        ValueError: If one of them does not say all, or two say different things.
    """
    said = {parse_caption(caption) for caption in record.captions}
    if len(said) != 1 or None in next(iter(said)):
        raise ValueError(
            f'video {record.video_id!r}: expected references that name one colour, shape and '
            f'motion of moving shapes, got {record.captions!r:.200}'
        )
    return said.pop()

from typing import Dict, List, Optional, Sequence

from mmaction.registry import METRICS
from mmengine.evaluator import BaseMetric

from ..functional import group_ranks, ranks_of_captions, ranks_of_videos, recall_figures
from ..records import Scores, make_record, stack_scores


def retrieval_figures(scores: Scores, recall_at: Sequence[int] = (1, 5, 10),
                      protocol: str = 'caption_groups') -> Dict[str, float]:
    """Compute all figures of an evaluation.

    Args:
        scores (Scores): All scores.
        recall_at (Sequence[int]): The K of each R@K.
        protocol (str): Of :func:`ranks_of_captions`.

    Returns:
        dict[str, float]: ``R1 R5 R10 MdR MnR`` from text to video, the same with
        ``v2t_`` from video to text, and, if videos have groups, ``group_R1``:
        the captions, in percent, whose own video is first in its group.
    """
    similarity, owner, groups = scores
    figures = recall_figures(ranks_of_videos(similarity, owner), recall_at)
    backwards = recall_figures(ranks_of_captions(similarity, owner, protocol), recall_at)
    figures.update({f'v2t_{key}': value for key, value in backwards.items()})
    if groups is not None:
        ranks = group_ranks(similarity, owner, groups)
        if len(ranks):
            figures['group_R1'] = recall_figures(ranks, (1, ))['R1']
    return figures


@METRICS.register_module()
class VideoTextRetrievalMetric(BaseMetric):
    """Recall at K, median and mean rank, from text to video and back.

    Keys are mmaction2's, ``retrieval/R1 R5 R10 MdR MnR``, with ``retrieval/v2t_*``
    beside them, and ``retrieval/group_R1`` where annotations have groups. Each
    video is one column however many captions it has.

    Args:
        recall_at (Sequence[int]): The K of each R@K.
        v2t_protocol (str): ``'caption_groups'`` or ``'best_caption'``, see
            :func:`mmclip4clip.evaluation.ranks_of_captions`.
        collect_device (str): ``'cpu'`` or ``'gpu'``.
        prefix (str, optional): Replaces ``retrieval``.
    """

    default_prefix = 'retrieval'

    def __init__(self,
                 recall_at: Sequence[int] = (1, 5, 10),
                 v2t_protocol: str = 'caption_groups',
                 collect_device: str = 'cpu',
                 prefix: Optional[str] = None) -> None:
        if v2t_protocol not in ('caption_groups', 'best_caption'):
            raise ValueError("v2t_protocol must be 'caption_groups' or 'best_caption', got "
                             f'{v2t_protocol!r}')
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.recall_at, self.v2t_protocol = tuple(recall_at), v2t_protocol
        self.records: List[dict] = []  # of the last evaluation, on the main process

    def process(self, data_batch, data_samples: Sequence[dict]) -> None:
        """Keep what a batch of evaluated videos leaves, but for the features."""
        for sample in data_samples:
            self.results.append({key: value for key, value in make_record(sample).items()
                                 if not key.endswith('_features')})

    def compute_metrics(self, results: List[dict]) -> Dict[str, float]:
        """Compute the figures from the records of all videos."""
        self.records = results
        return retrieval_figures(stack_scores(results), self.recall_at, self.v2t_protocol)

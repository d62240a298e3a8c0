import os
import pickle
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mmaction.registry import METRICS
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from ...safe_pickle import PlainUnpickler
from ..functional import ranks_of_videos
from ..records import VideoRecord, make_record, stack_scores


@METRICS.register_module()
class RetrievalDump(BaseMetric):
    """Write each test video's captions, features, ranks and top answers to a file.

    Args:
        out_file_path (str): A ``.pkl`` in a folder that exists.
        top (int): Answers to keep a caption.

    Raises:
        ValueError: If the name does not end with ``.pkl`` or ``.pickle``.
        FileNotFoundError: If the folder does not exist. Said at construction,
            before the test begins.
        OSError: If the file cannot be written there.
    """

    default_prefix = 'dump'

    def __init__(self, out_file_path: str, top: int = 10) -> None:
        super().__init__()
        self.path, self.top = Path(out_file_path), top
        check_writable(self.path)

    def process(self, data_batch, data_samples: Sequence[dict]) -> None:
        """Keep what a batch of evaluated videos leaves."""
        self.results.extend(make_record(sample) for sample in data_samples)

    def compute_metrics(self, results: list[VideoRecord]) -> dict:
        """Write the file; there are no figures."""
        scores = stack_scores(results)
        ranks = ranks_of_videos(scores.similarity, scores.video_index)
        entries = []
        for video, record in enumerate(results):
            rows = scores.similarity[scores.video_index == video]
            best = np.argsort(-rows, axis=1, kind='stable')[:, : self.top]
            top = [[(results[v].video_id, float(row[v])) for v in order] for order, row in zip(best, rows)]
            entries.append(dict(record.to_dict(), ranks=ranks[scores.video_index == video], top=top))
        temporary = self.path.with_suffix('.tmp')
        with temporary.open('wb') as file:
            pickle.dump(entries, file, protocol=4)  # 5 writes names that read_dump does not know
        os.replace(temporary, self.path)
        print_log(f'wrote {len(results)} videos to {self.path}', logger='current')
        return {}


def check_writable(path: Path) -> None:
    """Raise now what writing a dump to ``path`` would raise later."""
    if path.suffix not in ('.pkl', '.pickle'):
        raise ValueError(f'the dump must be a .pkl or .pickle file, got {path}')
    if not path.parent.is_dir():
        raise FileNotFoundError(f'the folder of the dump {path} does not exist: create {path.parent} first')
    try:
        tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as error:
        raise OSError(f'the folder of the dump {path} cannot be written: {error}') from error


def read_dump(path: str | Path) -> list[dict]:
    """Read what :class:`RetrievalDump` wrote, without running anything in the file.

    Returns:
        list[dict]: An entry a video, see :meth:`VideoRecord.to_dict`, with ``ranks``
        (N_i,), the rank of the video for each caption, and ``top``, for each
        caption the ids and scores of the best videos. :func:`as_record` makes a :class:`VideoRecord` of one.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is not such a dump, or holds more than plain data.
    """
    with Path(path).open('rb') as file:
        try:
            records = PlainUnpickler(file).load()
        except Exception as error:  # a damaged pickle can fail in any way; the cause is reported
            raise ValueError(f'{path} is not a dump of tools/test.py --dump: {error!r}') from error
    needed = {'video_id', 'captions', 'scores', 'ranks', 'top'}
    if not (
        isinstance(records, list)
        and records
        and all(isinstance(r, dict) and needed <= set(r) for r in records)
    ):
        raise ValueError(
            f'{path} is not a dump of tools/test.py --dump: expected a list of records with {sorted(needed)}'
        )
    return records

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
    """Write captions, features, ranks and the best retrieved videos of a test to a pickle file.

    Args:
        out_file_path (str): Path of a ``.pkl`` file in an existing folder.
        top (int): Number of retrieved videos to save per caption.

    Raises:
        ValueError: If the name does not end with ``.pkl`` or ``.pickle``.
        FileNotFoundError: If the folder does not exist. Raised by ``__init__``, before the test starts.
        OSError: If the folder cannot be written.

    Examples:
        >>> test_evaluator = [  # in a config; tools/test.py --dump FILE adds it too
        ...     dict(type='VideoTextRetrievalMetric'),
        ...     dict(type='RetrievalDump', out_file_path='test.pkl')]
    """

    default_prefix = 'dump'

    def __init__(self, out_file_path: str, top: int = 10) -> None:
        super().__init__()
        self.path, self.top = Path(out_file_path), top
        check_writable(self.path)

    def process(self, data_batch, data_samples: Sequence[dict]) -> None:
        """Collect the records of a batch."""
        self.results.extend(make_record(sample) for sample in data_samples)

    def compute_metrics(self, results: list[VideoRecord]) -> dict:
        """Write the file, and return no metrics."""
        scores = stack_scores(results)
        ranks = ranks_of_videos(scores.similarity, scores.video_index)
        ends = np.cumsum([len(record.captions) for record in results])[:-1]
        entries = []
        for record, rows, caption_ranks in zip(
            results, np.split(scores.similarity, ends), np.split(ranks, ends)
        ):
            best = np.argsort(-rows, axis=1, kind='stable')[:, : self.top]
            top = [[(results[v].video_id, float(row[v])) for v in order] for order, row in zip(best, rows)]
            entries.append(dict(record.to_dict(), ranks=caption_ranks, top=top))
        temporary = self.path.with_suffix('.tmp')
        with temporary.open('wb') as file:
            pickle.dump(entries, file, protocol=4)  # read_dump does not allow the globals of protocol 5
        os.replace(temporary, self.path)
        print_log(f'wrote {len(results)} videos to {self.path}', logger='current')
        return {}


def check_writable(path: Path) -> None:
    """Check that a dump can be written to a path, before the evaluation starts.

    Raises:
        ValueError: If the suffix is not that of a pickle file.
        OSError: If the folder does not exist or cannot be written.
    """
    if path.suffix.lower() not in ('.pkl', '.pickle'):
        raise ValueError(f'the dump must be a .pkl or .pickle file, got {path}')
    if not path.parent.is_dir():
        raise FileNotFoundError(f'the folder of the dump {path} does not exist: create {path.parent} first')
    try:
        tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as error:
        raise OSError(f'the folder of the dump {path} cannot be written: {error}') from error


def read_dump(path: str | Path) -> list[dict]:
    """Read a file of :class:`RetrievalDump` safely: code in the file is not executed.

    Returns:
        list[dict]: One entry per video, see :meth:`VideoRecord.to_dict`. It also has ``ranks`` (N_i,), the
        rank of the video for each caption, and ``top``, the ids and scores of the best videos for each
        caption. :func:`as_record` converts an entry to a :class:`VideoRecord`.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If it is not a dump, or contains more than plain data.

    Examples:
        >>> import tempfile
        >>> from mmclip4clip.evaluation import RetrievalDump, VideoRecord, read_dump
        >>> record = VideoRecord('v1', 'v1.mp4', ['a cat'], scores=np.ones((1, 1)))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = f'{folder}/test.pkl'
        ...     RetrievalDump(path).compute_metrics([record])
        ...     read_dump(path)[0]['top']
        {}
        [[('v1', 1.0)]]
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

import json
import re

import numpy as np
import pytest

from mmclip4clip.evaluation import RetrievalDump, VideoRecord, ranks_of_videos, read_dump
from mmclip4clip.evaluation.functional import rank_histogram
from mmclip4clip.evaluation.records import as_record, stack_scores


@pytest.fixture
def many():
    """40 videos of 1 to 3 captions, with scores of few values, so that many are equal."""
    rng = np.random.default_rng(0)
    return [
        VideoRecord(f'v{v}', f'v{v}.mp4', [f'caption {v} {n}' for n in range(1 + v % 3)], group=f'g{v % 7}',
                    scores=rng.integers(0, 12, (1 + v % 3, 40)) / 8 + 0.5 * np.eye(40)[v])
        for v in range(40)
    ]  # fmt: skip


def test_the_tools_read_the_same_recalls_off_a_dump(tool, many, tmp_path, capsys):
    RetrievalDump(str(tmp_path / 'dump.pkl')).compute_metrics(many)
    capsys.readouterr()
    tool('analysis_tools/score_dump.py', tmp_path / 'dump.pkl', '--json')
    figures = json.loads(capsys.readouterr().out)
    tool('analysis_tools/report_dump.py', tmp_path / 'dump.pkl', tmp_path / 'report', '--count', 4)
    page = (tmp_path / 'report/report.html').read_text()
    row = re.search(r'text to video\W+([\d.]+)\W+([\d.]+)\W+([\d.]+)', page).groups()
    again = [as_record(entry) for entry in read_dump(tmp_path / 'dump.pkl')]
    bins = rank_histogram(ranks_of_videos(*stack_scores(again)[:2]), 40)
    for shown, k in zip(row, (1, 5, 10)):
        share = 100 * sum(bin.queries for bin in bins if bin.last <= k) / 79
        assert share == pytest.approx(figures[f'R{k}']) and abs(float(shown) - share) <= 0.05
    assert page.count('<section>') == 4

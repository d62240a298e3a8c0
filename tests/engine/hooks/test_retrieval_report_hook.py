import json
from types import SimpleNamespace

import numpy as np
import pytest

from mmclip4clip.engine.hooks.retrieval_report_hook import append_entry, choose_queries, describe_protocol
from mmclip4clip.evaluation import VideoTextRetrievalMetric


def test_best_and_worst_queries_come_from_different_videos():
    ranks, owner = np.array([1, 1, 9, 8, 2]), np.array([0, 0, 1, 1, 2])
    assert choose_queries(ranks, owner, 2).tolist() == [0, 2]
    assert choose_queries(ranks, owner, 3).tolist() == [0, 4, 2]
    few = choose_queries(ranks, owner, 8)  # no more than there are videos
    assert sorted(owner[few]) == [0, 1, 2] and (np.diff(ranks[few]) >= 0).all()


def test_the_protocol_names_split_queries_and_answers():
    paragraphs = SimpleNamespace(ann_file='a/val_1.json', caption_mode='paragraph')
    assert describe_protocol(paragraphs, VideoTextRetrievalMetric()).startswith(
        'protocol: a/val_1.json; all captions of a video are one query; video to text by caption_groups: ')
    other = describe_protocol(object(), VideoTextRetrievalMetric(v2t_protocol='best_caption'))
    assert 'without ann_file; every caption of an item' in other and 'the best placed right one' in other


def test_entries_are_added_and_a_foreign_file_is_not_overwritten(tmp_path):
    path = tmp_path / 'metrics.json'
    append_entry(path, dict(a=1))
    append_entry(path, dict(b=2))
    assert json.loads(path.read_text()) == [dict(a=1), dict(b=2)]
    for content in ('{"x": 1}', '[1, '):
        path.write_text(content)
        with pytest.raises(ValueError, match='metrics.json should hold a JSON list'):
            append_entry(path, dict(c=3))
        assert path.read_text() == content


def test_an_evaluation_of_a_run_that_comes_again_takes_the_place_of_the_first(tmp_path):
    path, entry = tmp_path / 'metrics.json', dict(run='a', stage='val', epoch=1, iter=2)
    for value in (dict(entry, R1=1), dict(entry, epoch=2), dict(entry, R1=3), dict(entry, run='b'),
                  dict(stage='test'), dict(stage='test')):
        append_entry(path, value)
    assert json.loads(path.read_text()) == [
        dict(entry, R1=3), dict(entry, epoch=2), dict(entry, run='b'), dict(stage='test'), dict(stage='test')]

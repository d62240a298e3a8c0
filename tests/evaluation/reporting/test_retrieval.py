from types import SimpleNamespace

import numpy as np

from mmclip4clip.evaluation.reporting.retrieval import choose_queries, describe_protocol


def test_best_and_worst_queries_come_from_different_videos():
    ranks, video_index = np.array([1, 1, 9, 8, 2]), np.array([0, 0, 1, 1, 2])
    assert choose_queries(ranks, video_index, 2).tolist() == [0, 2]
    assert choose_queries(ranks, video_index, 3).tolist() == [0, 4, 2]
    few = choose_queries(ranks, video_index, 8)  # no more than there are videos
    assert sorted(video_index[few]) == [0, 1, 2] and (np.diff(ranks[few]) >= 0).all()


def test_the_protocol_names_split_queries_and_answers():
    paragraphs = SimpleNamespace(ann_file='a/val_1.json', caption_mode='paragraph')
    assert describe_protocol(paragraphs, 'caption_groups').startswith(
        'protocol: a/val_1.json; all captions of a video are one query; video to text by caption_groups: '
    )
    other = describe_protocol(object(), 'best_caption')
    assert (
        'without ann_file; every caption of an item' in other
        and 'the best caption of the video counts' in other
    )

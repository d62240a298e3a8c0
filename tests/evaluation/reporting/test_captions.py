from dataclasses import replace

from mmclip4clip.evaluation import VideoRecord
from mmclip4clip.evaluation.reporting import captions
from mmclip4clip.evaluation.reporting.captions import choose_examples, read_frames


def test_examples_come_from_top_middle_and_bottom():
    scores = [5, 0, 9, 3, 3, 7, 1, 8, 2, 6, 4]  # best first: 2 7 5 9 0 10 3 4 8 6 1
    assert choose_examples(scores, 3) == [2, 10, 1]
    assert choose_examples(scores, 6) == [2, 7, 0, 10, 6, 1]
    assert choose_examples(scores, 8) == [2, 7, 5, 9, 10, 3, 6, 1]
    assert choose_examples(scores, 2) == [2, 7]
    assert choose_examples(scores, 30) == [2, 7, 5, 9, 0, 10, 3, 4, 8, 6, 1]
    assert choose_examples([], 3) == []


def test_frames_are_of_the_window(monkeypatch):
    seen = []
    monkeypatch.setattr(captions, 'read_strip', lambda *args: seen.append(args))
    video = VideoRecord('a', 'a.mp4', [], window=(1.0, 2.0))
    read_frames(video)
    assert seen == [('a.mp4', (1.0, 2.0))]
    assert read_frames(replace(video, unreadable='broken')) is None and len(seen) == 1

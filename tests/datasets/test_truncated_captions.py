import json

import pytest

from mmclip4clip.datasets import TokenizeCaptions, VideoCaptionDataset, truncated_captions
from mmclip4clip.datasets.truncated_captions import count_truncated_captions


@pytest.fixture
def count(shapes, tmp_path):
    def count(entries, max_words=5, **kwargs):
        (tmp_path / 'a.json').write_text(json.dumps(entries))
        for name in entries:
            (tmp_path / name).touch()
        dataset = VideoCaptionDataset(
            str(tmp_path / 'a.json'),
            pipeline=[dict(type='DecodeVideo', sampling=dict(type='SampleEvenly'))],
            data_prefix=dict(video=str(tmp_path)),
            **kwargs,
        )
        return count_truncated_captions(dataset, TokenizeCaptions(str(shapes / 'tokenizer'), max_words))

    return count


def test_captions_with_more_tokens_than_max_words_count(count):
    entries = {'a.mp4': ['red red red', 'red red red red'], 'b.mp4': ['red ' * 7]}
    assert count(entries) == (2, 3, 9, True)  # start and end are tokens too
    assert count(entries, test_mode=True) == (2, 3, 9, True)
    assert count(entries, caption_mode='random') == (2, 3, 9, True)
    assert count(entries, caption_mode='paragraph') == (2, 2, 9, True)
    assert count(entries, max_words=9) == (0, 3, 9, True)


def test_of_a_large_dataset_captions_are_drawn(count, monkeypatch):
    monkeypatch.setattr(truncated_captions, 'MAX_CAPTIONS', 40)
    entries = {f'{i}.mp4': ['red red red red red' if i % 2 else 'red'] for i in range(200)}
    first, again = count(entries), count(entries)
    assert first == again and first.captions == 40 and not first.whole
    assert 8 <= first.cut <= 32
    assert count({f'{i}.mp4': ['red', 'blue'] for i in range(30)}).captions == 40


def test_datasets_without_captions_are_left_out(shapes):
    assert count_truncated_captions([1, 2], TokenizeCaptions(str(shapes / 'tokenizer'))) is None

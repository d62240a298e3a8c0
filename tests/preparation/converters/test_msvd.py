import json
import pickle

import pytest

from mmclip4clip.preparation.converters import convert
from mmclip4clip.preparation.converters.msvd import read, splits


@pytest.fixture
def official(tmp_path):
    def write(captions):
        (tmp_path / 'raw-captions.pkl').write_bytes(pickle.dumps(captions, protocol=2))
        (tmp_path / 'train_list.txt').write_text('b_1_2\r\n-a_3_4\n\n')
        return tmp_path / 'raw-captions.pkl', tmp_path / 'train_list.txt'

    return write


def test_words_are_joined_and_the_list_gives_the_order(official):
    captions = read(*official({'-a_3_4': [['a', 'dog']], 'b_1_2': [['two', 'men'], ['x']], 'c': [['y']]}))
    assert captions.entries == [
        dict(video='b_1_2', captions=['two men', 'x']),
        dict(video='-a_3_4', captions=['a dog']),
    ]
    assert captions.skipped == {}


def test_a_listed_video_without_a_caption_is_noted(official):
    captions = read(*official({'b_1_2': [['x'], []], '-a_3_4': []}))
    assert captions.skipped == {
        'no text': ['b_1_2'],
        'listed in train_list.txt, without a caption in raw-captions.pkl': ['-a_3_4'],
    }


@pytest.mark.parametrize('captions', [[['x']], {'b_1_2': ['a dog']}, {'b_1_2': [[1]]}, {'b_1_2': 5}, 'text'])
def test_a_pickle_of_something_else_is_refused(official, captions):
    with pytest.raises(ValueError, match=r'raw-captions.pkl is not of the form \{video: \[\[word'):
        read(*official(captions))


def test_a_word_that_a_small_pickle_repeats_is_not_joined_to_a_text_without_bound(official):
    captions = read(*official({'b_1_2': [['w' * 10_000] * 100_000, ['x']], '-a_3_4': [['y']]}))
    assert captions.skipped == {'a caption that is too long': ['b_1_2']}
    assert [entry['captions'] for entry in captions.entries] == [['x'], ['y']]


def test_a_pickle_that_asks_for_code_is_refused(official):
    with pytest.raises(ValueError, match='raw-captions.pkl was refused .* asks for __builtin__.print'):
        read(*official({'b_1_2': [[print]]}))


def test_the_official_files_have_the_published_counts(data, tmp_path):
    reports = convert(splits(data / 'annotations/msvd'), tmp_path, tmp_path, ending='.avi', strict=True)
    videos = [len(r.entries) for r in reports]
    captions = [sum(len(e['captions']) for e in r.entries) for r in reports]
    assert videos == [1200, 100, 670] and sum(captions) == 80827


def test_the_captions_of_real_clips_are_those_of_mmaction2s_form(data, tmp_path):
    clips = data / 'clips/msvd'
    reports = convert(splits(data / 'annotations/msvd'), tmp_path, clips)
    converted = {
        k: v
        for name in ('train', 'val', 'test')
        for k, v in json.loads((tmp_path / f'{name}.json').read_text()).items()
    }
    assert converted == json.loads((clips / 'captions.json').read_text())
    assert [len(r.missing) + len(r.entries) for r in reports] == [1200, 100, 670]
    assert len((tmp_path / 'test_missing.txt').read_text().splitlines()) == 668

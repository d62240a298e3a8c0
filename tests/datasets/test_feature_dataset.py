import numpy as np
import pytest
import torch
from mmaction.registry import DATASETS

from mmclip4clip.random_states import seed_everything

from .feature_folders import random_videos, write_folder


@pytest.fixture
def videos():
    return random_videos(group=('a', 'a', None))


def build(folder, **kwargs):
    return DATASETS.build(dict(type='FeatureDataset', folder=str(folder), **kwargs))


def test_a_test_has_each_video_once_with_all_captions(tmp_path, videos):
    dataset = build(write_folder(tmp_path, videos), test_mode=True)
    assert len(dataset) == dataset.num_videos == 3
    item = dataset[2]
    assert torch.equal(item['inputs']['frames'], videos[2].frames)
    assert torch.equal(item['inputs']['text'], videos[2].text)
    assert item['data_samples'].captions == videos[2].info['captions']
    assert item['data_samples'].filename == 'videos/v2.mp4' and 'group' not in item['data_samples']


def test_in_training_each_caption_is_an_item_with_its_own_features(tmp_path, videos):
    dataset = build(write_folder(tmp_path, videos))
    assert len(dataset) == 6 and [dataset.get_data_info(i)['video_key'] for i in range(6)] == [
        'k0',
        'k0',
        'k1',
        'k2',
        'k2',
        'k2',
    ]
    item = dataset[4]
    assert item['data_samples'].captions == ['caption 2 1']
    assert torch.equal(item['inputs']['text'], videos[2].text[1:2])


def test_tokens_are_those_of_the_chosen_caption_without_padding(tmp_path, videos):
    dataset = build(write_folder(tmp_path, videos), per_token=True)
    inputs = dataset[3]['inputs']  # the first, shortest caption of the last video
    assert torch.equal(inputs['tokens'][0], videos[2].tokens[0]) and inputs['text_mask'].tolist() == [[1, 1]]


def test_a_random_caption_is_drawn_as_from_a_dataset_of_videos(tmp_path, videos):
    dataset = build(write_folder(tmp_path, videos), caption_mode='random')
    drawn = set()
    for seed in range(20):
        seed_everything(seed)
        found = dataset[2]['data_samples'].captions
        seed_everything(seed)
        np.random.randint(2**31)  # as substitute_unreadable draws
        assert found == [videos[2].info['captions'][np.random.randint(3)]]
        drawn.update(found)
    assert len(dataset) == 3 and len(drawn) == 3


def test_unreadable_videos_stay_in_a_test_and_are_left_out_of_a_training(tmp_path):
    folder = write_folder(tmp_path, random_videos(unreadable=(None, 'empty', None)))
    assert [item['data_samples'].get('unreadable') for item in build(folder, test_mode=True)] == [
        None,
        'empty',
        None,
    ]
    train = build(folder, caption_mode='all')
    assert list(train.video_ids.values()) == ['v0.mp4', 'v2.mp4']


def test_paragraphs_and_single_captions_have_other_features(tmp_path, videos):
    folder = write_folder(tmp_path / 'all', videos)
    with pytest.raises(ValueError, match="caption_mode='paragraph' does not fit .*of caption_mode='all'"):
        build(folder, caption_mode='paragraph')
    one = [video._replace(info=dict(video.info, captions=['all in one'])) for video in videos]
    one = [video._replace(text=video.text[:1], tokens=video.tokens[:1]) for video in one]
    folder = write_folder(tmp_path / 'one', one, caption_mode='paragraph')
    assert len(build(folder, caption_mode='paragraph')) == 3
    with pytest.raises(ValueError, match="caption_mode='each' does not fit"):
        build(folder)

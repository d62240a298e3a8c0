"""Datasets that are joined: two files are two videos, however they are called, and one file is one."""

import hashlib
import json

import numpy as np
import pytest
import torch
from mmaction.registry import DATASETS
from mmengine.dataset import DefaultSampler, pseudo_collate

from mmclip4clip.datasets import DistinctVideoBatchSampler, GroupedSampler
from mmclip4clip.engine.hooks.bad_video_hook import count_videos
from mmclip4clip.models import SymmetricContrastiveLoss, VideoCaptionPreprocessor

ENTRIES = [
    dict(video='a', captions=['one', 'two'], group='g'),
    dict(video='b', captions=['three'], group='g'),
]


@pytest.fixture
def join(shapes, tmp_path):
    """Join datasets, each of a folder of two videos; the folders' videos have the same names."""
    videos = sorted((shapes / 'videos').rglob('*.mp4'))
    for number, folder in enumerate(('first', 'second')):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / 'ann.json').write_text(json.dumps(ENTRIES))
        for name, video in zip('ab', videos[2 * number :]):
            (tmp_path / folder / f'{name}.mp4').write_bytes(video.read_bytes())
    (tmp_path / 'link').symlink_to('first')
    pipeline = [
        dict(type='DecodeVideo', time_limit=None, sampling=dict(type='SampleAtRate', fps=2, max_frames=4)),
        dict(type='FormatShape', input_format='NCHW'),
        dict(type='TokenizeCaptions', tokenizer=str(shapes / 'tokenizer'), max_words=24),
        dict(type='PackVideoCaptions', meta_keys=('video_id',)),
    ]

    def join(*folders, **kwargs):
        parts = [
            dict(
                dict(
                    type='VideoCaptionDataset',
                    ann_file='ann.json',
                    data_root=str(tmp_path / folder),
                    data_prefix=dict(video=''),
                    pipeline=pipeline,
                ),
                **kwargs,
            )
            for folder in folders
        ]
        return DATASETS.build(dict(type='ConcatDataset', datasets=parts))

    return join


def identities(dataset):
    batch = [dataset[i] for i in range(len(dataset))]
    return VideoCaptionPreprocessor()(pseudo_collate(batch))['inputs']


def test_videos_of_one_name_in_two_folders_are_two_to_the_loss(join):
    dataset = join('first', 'second')
    assert [dataset[i]['data_samples'].video_id for i in range(6)] == ['a.mp4', 'a.mp4', 'b.mp4'] * 2
    inputs = identities(dataset)
    same = inputs['video_key'][:, None] == inputs['video_key']
    kinds = np.array([0, 0, 1, 2, 2, 3])
    assert np.array_equal(same, kinds[:, None] == kinds)
    logits = torch.randn(6, 6)
    loss = SymmetricContrastiveLoss()(logits, inputs['video_index'], inputs['video_key'])
    right = torch.tensor(kinds[:, None] == kinds).double()
    expected = -(right / right.sum(1, keepdim=True) * logits.double().log_softmax(1)).sum(1).mean() / 2
    assert loss['loss_t2v'].item() == pytest.approx(expected.item(), rel=1e-5)


def test_a_file_reached_through_two_folders_is_one_video(join):
    dataset = join('first', 'link')
    video_key = identities(dataset)['video_key'].tolist()
    assert video_key[:3] == video_key[3:] and len(set(video_key)) == 2
    assert count_videos(dataset) == 2 and count_videos(join('first', 'second')) == 4


def test_what_sampling_draws_by_is_the_id_alone(join):
    one, two = (identities(join(folder))['id_number'].tolist() for folder in ('first', 'second'))
    assert one == two and one[0] == one[1] != one[2]
    # as it was before there were keys: what is sampled for a video must stay what it is
    assert one[0] == int(hashlib.sha256(b'a.mp4').hexdigest()[:16], 16) // 2


def batches(dataset, size):
    return [
        [dataset.get_data_info(i)['filename'] for i in batch]
        for batch in DistinctVideoBatchSampler(DefaultSampler(dataset, seed=0), size)
    ]


def test_a_batch_of_distinct_videos_has_both_of_one_name_and_no_file_twice(join):
    apart = batches(join('first', 'second'), 4)
    assert sorted(map(len, apart)) == [3, 3]  # two captions of a video: two batches, not four
    assert all(len(set(batch)) == len(batch) for batch in apart)
    assert len(batches(join('first', 'link'), 6)) == 4  # the four captions of one video


def test_groups_of_two_annotation_files_are_different_and_those_of_one_are_not(join):
    dataset = join('first', 'second', caption_mode='all')
    assert [len(group) for group in GroupedSampler(dataset, seed=0).groups] == [2, 2]
    assert [len(group) for group in GroupedSampler(join('first', 'link'), seed=0).groups] == [6]
    first, second = dataset[0]['data_samples'], dataset[2]['data_samples']
    assert first.group_key != second.group_key and first.group_key.endswith('first/ann.json#g')


def test_a_replaced_video_is_told_by_its_file_too(join, tmp_path):
    for folder in ('first', 'second'):
        (tmp_path / folder / 'a.mp4').write_bytes(b'')
    dataset = join('first', 'second', caption_mode='all')
    for number, folder in ((0, 'first'), (2, 'second')):
        sample = dataset[number]['data_samples']
        assert sample.replaced[0][0] == 'a.mp4'
        assert sample.replaced_keys[0] == str((tmp_path / folder / 'a.mp4').resolve())

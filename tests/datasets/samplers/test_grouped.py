import numpy as np
import pytest
from mmaction.registry import DATASETS
from mmengine.dataset import DefaultSampler

from mmclip4clip.datasets import DistinctVideoBatchSampler, GroupedSampler


class Items(list):
    get_data_info = list.__getitem__


@pytest.fixture
def items():
    return Items([dict(group='a'), dict(group='b'), {}, dict(group='a'), dict(group='b'), {}])


def test_members_of_a_group_follow_one_another_in_every_epoch(items):
    sampler, orders = GroupedSampler(items, seed=0), set()
    for epoch in range(8):
        sampler.set_epoch(epoch)
        order = list(sampler)
        assert sorted(order) == list(range(6))
        assert abs(order.index(0) - order.index(3)) == abs(order.index(1) - order.index(4)) == 1
        orders.add(tuple(order))
    assert len(orders) > 1


def test_without_shuffle_groups_keep_their_order(items):
    assert list(GroupedSampler(items, shuffle=False)) == [0, 3, 1, 4, 2, 5]


def test_processes_share_each_group_and_miss_nothing(items, monkeypatch):
    shares = []
    for rank in range(4):
        monkeypatch.setattr('mmengine.dataset.sampler.get_dist_info', lambda rank=rank: (rank, 4))
        shares.append(list(GroupedSampler(items, seed=0)))
    assert [len(s) for s in shares] == [2, 2, 2, 2]
    together = [i for step in zip(*shares) for i in step]
    assert sorted(set(together)) == list(range(6))
    assert together[6:] == together[:2]


def test_before_the_first_epoch_items_are_shuffled_singly(items):
    sampler, apart = GroupedSampler(items, first_epoch=6, seed=0), []
    for epoch in range(8):
        sampler.set_epoch(epoch)
        order = list(sampler)
        assert sorted(order) == list(range(6))
        apart.append(abs(order.index(0) - order.index(3)) > 1)
    assert any(apart[:6]) and not any(apart[6:])


@pytest.mark.parametrize(
    'build',
    [
        lambda data: GroupedSampler(data, seed=0),
        lambda data: DistinctVideoBatchSampler(DefaultSampler(data, seed=0), 2),
    ],
)
def test_building_a_sampler_draws_nothing(shapes, pipeline, build):
    data = DATASETS.build(
        dict(
            type='VideoCaptionDataset',
            ann_file=str(shapes / 'train.json'),
            data_prefix=dict(video=str(shapes / 'videos')),
            pipeline=pipeline,
            caption_mode='random',
        )
    )
    before = np.random.get_state()
    build(data)
    assert data.num_videos == 16
    for ours, theirs in zip(np.random.get_state(), before):
        assert np.array_equal(ours, theirs)

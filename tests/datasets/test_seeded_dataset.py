import pickle
import random

import numpy as np
import pytest
import torch
from mmaction.registry import DATASETS
from torch.utils.data import DataLoader

from mmclip4clip.datasets import SeededDataset


@DATASETS.register_module()
class Drawing:
    """Draws a number from each generator, and as many more as the item's number."""

    num_videos = 3

    def __init__(self, length=4):
        self.length = length

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        np.random.rand(index), [random.random() for _ in range(index)], torch.rand(index)
        return np.random.rand(), random.random(), float(torch.rand(()))

    def __getitems__(self, indices):
        raise AssertionError('the items must come one by one')


@pytest.fixture
def dataset():
    made = SeededDataset(dict(type='Drawing'))
    made.set_seed_and_epoch(7, 2)
    return made


def test_an_item_does_not_depend_on_what_came_before(dataset):
    items = [dataset[i] for i in (0, 1, 2, 3)]
    assert [dataset[i] for i in (3, 1, 0, 2)] == [items[i] for i in (3, 1, 0, 2)]
    assert len(set(items)) == 4 and all(len(set(item)) == 3 for item in items)


def test_seed_and_epoch_change_it(dataset):
    seen = {dataset[1]}
    for seed, epoch in ((7, 3), (8, 2), (2, 7)):
        dataset.set_seed_and_epoch(seed, epoch)
        seen.add(dataset[1])
    assert len(seen) == 4


def test_the_process_that_asks_draws_on_as_if_nothing_had_been_drawn(dataset):
    random.seed(0), np.random.seed(0), torch.manual_seed(0)
    expected = np.random.rand(), random.random(), float(torch.rand(()))
    random.seed(0), np.random.seed(0), torch.manual_seed(0)
    dataset[0]
    assert (np.random.rand(), random.random(), float(torch.rand(()))) == expected


@pytest.mark.parametrize('persistent', [False, True])
def test_workers_hear_of_the_next_epoch(dataset, persistent):
    loader = DataLoader(
        dataset, batch_size=1, num_workers=2, persistent_workers=persistent, collate_fn=lambda batch: batch[0]
    )
    for epoch in (0, 1):
        dataset.set_seed_and_epoch(7, epoch)
        assert list(loader) == [dataset[i] for i in range(4)]


def test_it_has_what_the_dataset_has(dataset):
    assert len(dataset) == 4 and dataset.num_videos == 3 and not hasattr(dataset, 'absent')
    assert pickle.loads(pickle.dumps(dataset))[2] == dataset[2]


def test_items_that_come_again_in_an_epoch_draw_anew():
    class Sized(Drawing):
        metainfo = {}

        def full_init(self):
            pass

    DATASETS.register_module(module=Sized, force=True)
    repeated = SeededDataset(dict(type='RepeatDataset', dataset=dict(type='Sized'), times=2))
    assert len(repeated) == 8 and repeated[1] != repeated[5]

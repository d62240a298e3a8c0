import pytest
from mmengine.dataset import DefaultSampler

from mmclip4clip.datasets import ResumableBatchSampler


class Items(list):
    told = None

    def set_seed_and_epoch(self, seed, epoch):
        self.told = seed, epoch

    def get_data_info(self, index):
        return dict(video_id=self[index])


@pytest.fixture
def sampler():
    return DefaultSampler(Items('abcdefghij'), seed=3)


def test_without_skipping_it_is_torchs_batches(sampler):
    order = list(sampler)
    assert list(ResumableBatchSampler(sampler, 4)) == [order[:4], order[4:8], order[8:]]
    dropping = ResumableBatchSampler(sampler, 4, drop_last=True)
    assert list(dropping) == [order[:4], order[4:8]] and len(dropping) == 2


def test_what_is_skipped_is_left_out_once(sampler):
    batches = ResumableBatchSampler(sampler, 3)
    whole = list(batches)
    batches.skip(3)
    assert list(batches) == whole[3:] and list(batches) == whole and len(batches) == 4


def test_the_dataset_hears_which_epoch_begins(sampler):
    batches = ResumableBatchSampler(sampler, 3)
    sampler.set_epoch(5)
    assert sampler.dataset.told is None
    next(iter(batches))
    assert sampler.dataset.told == (3, 5)


def test_another_batch_sampler_forms_the_batches(sampler):
    batches = ResumableBatchSampler(sampler, 5, batch_sampler=dict(type='DistinctVideoBatchSampler'))
    first = list(batches)
    assert sorted(sum(first, [])) == list(range(10)) and batches.batch_size == 5
    batches.skip(1)
    assert list(batches) == first[1:]

import pytest
from mmengine.dataset import DefaultSampler
from torch.utils.data import BatchSampler

from mmclip4clip.datasets import WindowBatchSampler
from mmclip4clip.datasets.samplers import window_batches as module
from mmclip4clip.datasets.samplers.window_batches import batch_windows


class Windows(list):
    """A dataset of windows: files, starts and ends."""

    @property
    def file_windows(self):
        return list(self)


def windows_of(*counts: int) -> Windows:
    """As many windows of each file, of all files in turns, the last in time first."""
    turns = range(max(counts))
    return Windows((f'{v}.mp4', 9.0 - t, 9.5 - t) for t in turns for v, n in enumerate(counts) if t < n)


def samplers(dataset, size, processes):
    made = []
    for rank in range(processes):
        sampler = DefaultSampler(dataset, shuffle=False)
        sampler.rank, sampler.world_size = rank, processes
        sampler.num_samples = -(-len(dataset) // processes)
        sampler.total_size = sampler.num_samples * processes
        made.append(WindowBatchSampler(sampler, batch_size=size))
    return made


COUNTS = [(3, 1, 2, 5), (1, 1, 1, 2), (25,), (2, 2, 2, 2, 2, 2)]


@pytest.mark.parametrize('processes', [1, 2, 3])
@pytest.mark.parametrize('size', [1, 2, 4, 16])
@pytest.mark.parametrize('counts', COUNTS)
def test_every_item_comes_and_the_results_are_those_of_the_sampler(monkeypatch, counts, size, processes):
    dataset = windows_of(*counts)
    made = samplers(dataset, size, processes)
    batches = [list(sampler) for sampler in made]
    assert [len(part) for part in batches] == [len(sampler) for sampler in made]
    assert len(set(map(len, batches))) == 1  # as collective operations need
    assert {item for part in batches for batch in part for item in batch} == set(range(len(dataset)))
    assert max(len(batch) for part in batches for batch in part) <= size
    parts = [[(item, dataset[item]) for batch in part for item in batch] for part in batches]
    monkeypatch.setattr(module, 'all_gather_object', lambda part: parts)
    for sampler, part in zip(made, parts):
        restored = sampler.in_order([result for _, result in part])
        assert restored == [dataset[item] for item in sampler.sampler]


@pytest.mark.parametrize('counts', COUNTS)
def test_no_batch_splits_a_file_that_fits(counts):
    dataset = windows_of(*counts)
    batches = [{dataset[item][0] for item in batch} for batch in samplers(dataset, 4, 1)[0]]
    for file, count in enumerate(counts):
        assert sum(f'{file}.mp4' in batch for batch in batches) == -(-count // 4)


def test_windows_of_a_file_are_in_the_order_of_time():
    dataset = windows_of(9)
    starts = [dataset[item][1] for batch in batch_windows(dataset, 4) for item in batch]
    assert starts == sorted(starts)


class Panes(list):
    """A dataset of something else, whose attribute ``windows`` has no files."""

    windows = ['north', 'south', 'north']


@pytest.mark.parametrize(
    'dataset',
    [windows_of(1, 1, 1, 1, 1), [0, 1, 2, 3, 4], Panes(range(5))],
    ids=['videos', 'no windows', 'other windows'],
)
@pytest.mark.parametrize('processes', [1, 2])
def test_without_several_windows_of_a_file_nothing_changes(dataset, processes):
    for sampler in samplers(dataset, 2, processes):
        batches = list(sampler)
        assert batches == list(BatchSampler(sampler.sampler, 2, False)) and len(batches) == len(sampler)
        assert sampler.in_order([3, 1, 2]) == [3, 1, 2]

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mmaction.registry import DATA_SAMPLERS
from mmengine.dataset import DefaultSampler
from mmengine.runner import Runner

from mmclip4clip.datasets import DistinctVideoBatchSampler, GroupedSampler


class Items(list):
    get_data_info = list.__getitem__


def make(counts, batch_size, world_size=1, **kwargs):
    """The batch samplers of all processes, for videos with so many captions."""
    items = Items(dict(video_id=f'v{v}') for v, count in enumerate(counts) for _ in range(count))
    samplers = []
    for rank in range(world_size):
        sampler = DefaultSampler(items, seed=0)
        sampler.rank, sampler.world_size = rank, world_size
        samplers.append(DistinctVideoBatchSampler(sampler, batch_size, **kwargs))
    return samplers


def epoch(samplers, number=0):
    """One epoch's batches, each a list of its parts by process."""
    shares = []
    for sampler in samplers:
        sampler.sampler.set_epoch(number)
        shares.append(list(sampler))
        assert len(shares[-1]) == len(sampler)  # so on every process
    return list(zip(*shares))


def videos(samplers, items):
    return [samplers[0].sampler.dataset[i]['video_id'] for i in items]


COUNTS = st.lists(st.integers(1, 12), min_size=1, max_size=30)


@given(COUNTS, st.integers(1, 6), st.integers(1, 3), st.integers(0, 3))
def test_every_item_comes_once_and_no_video_twice_in_a_batch(counts, batch_size, world_size, number):
    total, full = sum(counts), batch_size * world_size
    fewest = max(-(-total // full), max(counts))  # a video needs a batch for each caption
    if total // fewest < world_size:
        with pytest.raises(ValueError, match='leave some of the'):
            make(counts, batch_size, world_size)
        return
    samplers = make(counts, batch_size, world_size)
    batches = epoch(samplers, number)
    assert len(batches) == fewest
    assert sorted(i for batch in batches for part in batch for i in part) == list(range(total))
    for batch in batches:
        together = videos(samplers, [i for part in batch for i in part])
        assert len(set(together)) == len(together) in (total // fewest, -(-total // fewest))
        sizes = [len(part) for part in batch]
        assert min(sizes) > 0 and max(sizes) - min(sizes) <= 1 and max(sizes) <= batch_size


@given(COUNTS, st.integers(1, 6), st.integers(1, 3), st.integers(0, 3))
def test_with_drop_last_there_are_as_many_full_batches_as_can_be(counts, batch_size, world_size, number):
    full = batch_size * world_size
    if len(counts) < full:
        with pytest.raises(ValueError, match=f'{len(counts)} videos do not fill a batch of {full}'):
            make(counts, batch_size, world_size, drop_last=True)
        return
    samplers = make(counts, batch_size, world_size, drop_last=True)
    batches = epoch(samplers, number)
    # B batches can take at most B captions of a video, which must suffice to fill them
    fits = [b for b in range(sum(counts) + 1) if sum(min(c, b) for c in counts) >= full * b]
    assert len(batches) == max(fits)
    for batch in batches:
        assert [len(part) for part in batch] == [batch_size] * world_size
        assert len(set(videos(samplers, [i for part in batch for i in part]))) == full
    items = [i for batch in batches for part in batch for i in part]
    assert len(set(items)) == len(items)


def test_what_stays_out_changes_with_the_epoch_and_is_counted_in_the_log(monkeypatch):
    lines = []
    monkeypatch.setattr(
        'mmclip4clip.datasets.samplers.distinct_videos.print_log', lambda line, logger: lines.append(line)
    )
    samplers = make([9, 2, 2, 2], 2, drop_last=True)
    # 9 + 6 items; 6 batches of two take at most 6 of the first video
    assert 'each epoch has 12 of 15 items in 6 batches of distinct videos' in lines[0]
    every = frozenset(range(15))
    left_out = {every.difference(*(batch[0] for batch in epoch(samplers, n))) for n in range(6)}
    assert {len(out) for out in left_out} == {3} and len(left_out) > 1


def test_epochs_differ_and_repeat_by_seed_unless_the_sampler_does_not_shuffle():
    samplers, again = make([3] * 8, 4), make([3] * 8, 4)
    assert epoch(samplers, 0) == epoch(again, 0) != epoch(samplers, 1)
    again[0].sampler.seed = 1
    assert epoch(samplers, 0) != epoch(again, 0)
    samplers[0].sampler.shuffle = False
    assert epoch(samplers, 0) == epoch(samplers, 1)


def test_captions_of_a_video_meet_many_other_videos():
    samplers = make([10] * 100, 10)  # 100 batches of 10: a video's captions have 90 neighbors
    met = [set(videos(samplers, batch[0])) for batch in epoch(samplers) if 'v0' in videos(samplers, batch[0])]
    assert len(met) == 10 and len(set().union(*met)) > 40  # about 60 of 100 if drawn freely, 10 if together


def test_mmengine_builds_it_and_tells_it_batch_size_and_epoch(shapes, pipeline):
    loader = Runner.build_dataloader(
        dict(
            batch_size=5,
            num_workers=0,
            sampler=dict(type='DefaultSampler', shuffle=True),
            batch_sampler=dict(type='DistinctVideoBatchSampler'),
            dataset=dict(
                type='VideoCaptionDataset',
                ann_file='train.json',
                data_root=str(shapes),
                data_prefix=dict(video='videos'),
                caption_mode='each',
                pipeline=pipeline,
            ),
        ),
        seed=0,
    )
    captions = len(loader.dataset)
    assert captions > len({loader.dataset.get_data_info(i)['video_id'] for i in range(captions)}) == 16
    assert len(loader) == -(-captions // 5)
    first = next(iter(loader))
    assert len({sample.video_id for sample in first['data_samples']}) == len(first['data_samples']) == 5
    loader.batch_sampler.sampler.set_epoch(1)  # as DistSamplerSeedHook does
    assert next(iter(loader))['data_samples'][0].video_id != first['data_samples'][0].video_id


def test_windows_of_one_file_are_different_videos():
    items = Items(dict(video_id=f'a.mp4@{start}-{start + 5}', filename='a.mp4') for start in (0, 0, 5, 5))
    for batch in DistinctVideoBatchSampler(DefaultSampler(items, seed=0), 2):
        assert {items[i]['video_id'] for i in batch} == {'a.mp4@0-5', 'a.mp4@5-10'}


def test_another_sampler_is_refused():
    sampler = GroupedSampler(Items([dict(video_id='a')]), seed=0)
    with pytest.raises(TypeError, match="needs sampler=dict\\(type='DefaultSampler'\\), got GroupedSampler"):
        DATA_SAMPLERS.build(dict(type='DistinctVideoBatchSampler', sampler=sampler, batch_size=1))

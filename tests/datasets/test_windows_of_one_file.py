"""Windows of one file in evaluations: the dataset, its batches, and the loops."""

import json
import logging
from types import SimpleNamespace

import numpy as np
import pytest
from mmaction.registry import DATASETS
from mmengine.dataset import pseudo_collate
from mmengine.registry import DefaultScope, init_default_scope
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from mmclip4clip.datasets import SeededDataset, VideoCaptionDataset, WindowBatchSampler
from mmclip4clip.datasets.video_readers.pyav_reader import PyAVReader
from mmclip4clip.engine.loops import FeatureExtractionLoop, VideoTextTestLoop
from mmclip4clip.engine.loops import feature_extraction_loop as loops
from mmclip4clip.engine.loops.feature_extraction_loop import BatchList
from mmclip4clip.engine.loops.video_text_loops import group_windows

from ..videos import damage

DECODE = dict(type='DecodeVideo', sampling=dict(type='SampleAtRate', fps=4, max_frames=6), time_limit=None)
ORDERED = dict(type='DefaultSampler', shuffle=False)
PACK = [dict(type='FormatShape', input_format='NCHW'), dict(type='PackVideoCaptions')]


@pytest.fixture(scope='module', autouse=True)
def _scope():
    init_default_scope('mmaction')


class NoTokens:
    def __call__(self, results):
        return dict(results, tokens=np.zeros((1, 1), np.int64), text_mask=np.ones((1, 1), np.int64))


class NamelessVideos(VideoCaptionDataset):
    """A dataset whose items have no file until a step of the pipeline names one."""

    def load_data_list(self):
        keys = ('video_id', 'video_key', 'captions')
        return [{key: item[key] for key in keys} for item in super().load_data_list()]


class NameVideo:
    def __init__(self, file: str) -> None:
        self.file = file

    def __call__(self, results):
        return dict(results, filename=self.file)


def nameless(config: dict) -> dict:
    name = NameVideo(f'{config["data_prefix"]["video"]}/a.mp4')
    return dict(config, type=NamelessVideos, pipeline=[name, *config['pipeline']])


@pytest.fixture(scope='module')
def config(files, tmp_path_factory) -> dict:
    """A test set of windows of four files, one damaged and one unreadable, in turns."""
    folder = tmp_path_factory.mktemp('windows')
    names = ['a.mp4', 'b.avi', 'damaged.mp4', 'text.mp4']
    (folder / names[0]).write_bytes(files['mp4'].read_bytes())
    (folder / names[1]).write_bytes(files['avi_b_frames'].read_bytes())
    damage(files['mp4'], folder / names[2], [12, 40])
    (folder / names[3]).write_text('no video')
    windows = [(0, 1), (0.5, 1.5), (1, 2), (5, 9)]  # the last one after the end
    entries = [dict(video=v, captions=[f'{v} {s}'], start=s, end=e) for s, e in windows for v in names]
    (folder / 'test.json').write_text(json.dumps(entries))
    pipeline = [DECODE, NoTokens(), *PACK]
    return dict(
        type='VideoCaptionDataset',
        ann_file=str(folder / 'test.json'),
        data_prefix=dict(video=str(folder)),
        pipeline=pipeline,
        test_mode=True,
        bad_videos='report',
    )


@pytest.fixture(scope='module')
def alone(config) -> list:
    """Each item prepared by itself."""
    dataset = DATASETS.build(config)
    return [dataset[number] for number in range(len(dataset))]


def assert_same(found, expected):
    for one, other in zip(found, expected, strict=True):
        info, alone = one['data_samples'].metainfo, other['data_samples'].metainfo
        assert (info['video_id'], info['captions']) == (alone['video_id'], alone['captions'])
        assert info.get('unreadable') == alone.get('unreadable')
        if 'unreadable' not in info:
            assert np.array_equal(one['inputs']['imgs'], other['inputs']['imgs'])


@pytest.mark.parametrize('workers', [0, 2])
def test_batches_have_the_items_that_come_without_sharing(config, alone, workers):
    assert sum('unreadable' in item['data_samples'].metainfo for item in alone) == 3 + 4
    loader = dict(dataset=config, batch_size=4, num_workers=workers, collate_fn=dict(type='pseudo_collate'))
    loader = Runner.build_dataloader(group_windows(dict(loader, sampler=ORDERED)))
    batches = list(loader)
    assert [batch['data_samples'][0].filename[-5:] for batch in batches] == [
        'a.mp4',
        'b.avi',
        'd.mp4',
        't.mp4',
    ]
    items = [
        dict(data_samples=sample, inputs={key: values[i] for key, values in batch['inputs'].items()})
        for batch in batches
        for i, sample in enumerate(batch['data_samples'])
    ]
    assert_same(loader.batch_sampler.in_order(items), alone)


def test_items_without_a_file_name_are_batched_as_usual(config, alone):
    loader = dict(batch_size=3, num_workers=0, collate_fn=dict(type='pseudo_collate'), sampler=ORDERED)
    loader = Runner.build_dataloader(group_windows(dict(loader, dataset=nameless(config))))
    assert len({file for file, *_ in loader.dataset.file_windows}) == 16
    samples = [batch['data_samples'] for batch in loader]
    assert [len(batch) for batch in samples] == [3, 3, 3, 3, 3, 1]
    ids = [sample.video_id for batch in samples for sample in batch]
    assert ids == [item['data_samples'].video_id for item in alone]


def count_conversions(monkeypatch) -> list:
    converted, convert = [], PyAVReader._convert
    record = lambda self, frame: converted.append(frame.pts) or convert(self, frame)  # noqa: E731
    monkeypatch.setattr(PyAVReader, '_convert', record)
    return converted


@pytest.mark.parametrize('wrap', [False, True], ids=['alone', 'seeded'])
def test_a_batch_decodes_each_frame_once(config, alone, monkeypatch, wrap):
    dataset = SeededDataset(config) if wrap else DATASETS.build(config)
    converted = count_conversions(monkeypatch)
    items = dataset.__getitems__([0, 4, 8])  # seconds 0 to 1, 0.5 to 1.5 and 1 to 2 of the first file
    assert len(converted) == len(set(converted)) == 8
    assert_same(items, [alone[0], alone[4], alone[8]])
    converted.clear()
    assert_same([dataset[number] for number in (0, 4, 8)], items)
    assert len(converted) == 12


def test_a_training_shares_nothing(config, monkeypatch):
    dataset = DATASETS.build(dict(config, test_mode=False, bad_videos=None))
    converted = count_conversions(monkeypatch)
    dataset.__getitems__([0, 4, 8])
    assert len(converted) == 12


def test_a_loop_restores_the_order(config, alone, monkeypatch):
    runner = SimpleNamespace(
        build_dataloader=Runner.build_dataloader,
        _randomness_cfg={},
        visualizer=SimpleNamespace(),
        seed=0,
        cfg={},
        call_hook=lambda *args, **kwargs: None,
        model=SimpleNamespace(eval=list),
    )
    processed: list = []
    evaluator = SimpleNamespace(metrics=[], process=processed.extend, evaluate=lambda size: dict(size=size))
    loader = dict(dataset=config, batch_size=3, num_workers=0, sampler=ORDERED)
    loop = VideoTextTestLoop(runner, loader, evaluator)
    monkeypatch.setattr(loop, 'run_iter', lambda idx, batch: batch['data_samples'])
    monkeypatch.setattr(loop, 'score', lambda samples: dict(scored=len(samples)))
    assert loop.run() == dict(size=16, scored=16)
    expected = [item['data_samples'].video_id for item in alone]
    assert [sample.video_id for sample in processed] == expected


@pytest.mark.parametrize(
    'change',
    [
        dict(sampler=dict(type='DefaultSampler', shuffle=True)),
        dict(sampler=dict(type='DefaultSampler')),
        dict(sampler=dict(type='GroupedSampler', shuffle=False)),
        dict(batch_sampler=dict(type='DistinctVideoBatchSampler')),
        dict(drop_last=True),
    ],
)
def test_loaders_with_another_order_remain(change):
    loader = dict(dict(batch_size=4, sampler=ORDERED), **change)
    assert group_windows(loader) == loader
    made = DataLoader([1, 2], batch_size=2)
    assert group_windows(made) is made


@pytest.mark.parametrize('scope', ['mmaction', 'mmengine'])
def test_a_loader_groups_windows_in_any_scope(config, scope):
    loader = dict(dataset=DATASETS.build(config), batch_size=4, num_workers=0, sampler=ORDERED)
    with DefaultScope.overwrite_default_scope(scope):
        built = Runner.build_dataloader(group_windows(loader))
    assert isinstance(built.batch_sampler, WindowBatchSampler) and len(built) == 4


def test_a_loader_without_a_batch_size_has_batches_of_one_as_before(config):
    built = Runner.build_dataloader(group_windows(dict(dataset=config, num_workers=0, sampler=ORDERED)))
    assert built.batch_size == 1 and len(built) == 16


@pytest.mark.parametrize(
    'change, batches',
    [
        (dict, [[0, 4], [1, 5, 2], [3], [12, 13, 14], [15]]),
        (nameless, [[0, 1, 2], [3, 4, 5], [12, 13, 14], [15]]),
    ],
)
def test_an_extraction_groups_the_windows_of_a_shard_and_stores_them_in_order(
    change, batches, config, alone, monkeypatch
):
    dataset, runner = (
        DATASETS.build(change(config)),
        SimpleNamespace(cfg={}, logger=logging.getLogger('windows')),
    )
    loop = FeatureExtractionLoop.__new__(FeatureExtractionLoop)
    loop._runner, loop.folder, loop.half, loop.parts = runner, 'features', False, ('frames',)
    loop.order, loop.shard_size = BatchList([], 3), 6
    loop.dataloader = DataLoader(dataset, batch_sampler=loop.order, collate_fn=pseudo_collate)
    stored: dict = {}
    monkeypatch.setattr(loops, 'prepare_folder', lambda *args: [0, 2])  # shard 1 is there
    monkeypatch.setattr(loops, 'shard_path', lambda folder, number: number)
    monkeypatch.setattr(loops, 'write_shard', lambda number, videos, *_: stored.update({number: videos}))
    monkeypatch.setattr(loops, 'FeatureFolder', lambda folder: SimpleNamespace(infos=[]))
    encode = lambda idx, batch: [(sample.video_id, {}) for sample in batch['data_samples']]  # noqa: E731
    monkeypatch.setattr(loop, 'run_iter', encode)
    loop._write_shards(SimpleNamespace(num_shards=3, num_videos=16))
    expected = [item['data_samples'].video_id for item in alone]
    assert stored == {0: expected[:6], 2: expected[12:]}
    assert loop.order.batches == batches

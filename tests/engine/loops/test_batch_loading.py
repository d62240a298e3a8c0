import os
import signal
import time
from types import SimpleNamespace

import pytest
from mmengine.config import ConfigDict
from torch.utils.data import ConcatDataset, DataLoader

from mmclip4clip.datasets import DecodeVideo
from mmclip4clip.engine.loops import ResumableTrainLoop, VideoTextTestLoop, VideoTextValLoop
from mmclip4clip.engine.loops import batch_loading as module
from mmclip4clip.engine.loops.batch_loading import load_batches, worker_timeout

SAMPLING = dict(type='SampleAtRate')


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    """torch gives workers that hang some seconds before it ends them."""
    monkeypatch.setattr('torch.utils.data._utils.MP_STATUS_CHECK_INTERVAL', 0.2)


class Items(list):
    """Items of which some do what nobody wishes."""

    def __init__(self, *items, pipeline=()):
        super().__init__(items)
        self.pipeline = SimpleNamespace(transforms=list(pipeline))

    def __getitem__(self, number):
        item = list.__getitem__(self, number)
        return item() if callable(item) else item


def runner(**loader):
    return SimpleNamespace(cfg=dict(val_dataloader=ConfigDict(loader)))


def hang():
    while True:
        time.sleep(1)


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


def load(dataset, config=None, **kwargs) -> list:
    loader = DataLoader(dataset, batch_size=1, num_workers=2, **kwargs)
    return [int(batch) for batch in load_batches(runner(**(config or kwargs)), loader, 'val_dataloader')]


def test_batches_come_in_order_and_as_often_as_asked_for():
    loader = DataLoader(Items(*range(5)), batch_size=2, num_workers=2, persistent_workers=True)
    for _ in range(2):
        batches = load_batches(runner(), loader, 'val_dataloader')
        assert [batch.tolist() for batch in batches] == [[0, 1], [2, 3], [4]]
    assert loader.timeout == 600


def test_a_worker_that_stops_answering_is_noticed():
    begin = time.monotonic()
    with pytest.raises(
        RuntimeError,
        match=r'val_dataloader: its 2 workers \(processes \d+ \d+\) have returned '
        'no batch for 0.5 s.*val_dataloader.timeout=SECONDS',
    ):
        load(Items(0, 1, hang, 3), timeout=0.5)
    assert time.monotonic() - begin < 60


def test_a_worker_that_is_killed_is_noticed_and_the_loader_named():
    with pytest.raises(
        RuntimeError,
        match='val_dataloader: DataLoader worker .*(killed by signal: '
        'Killed|exited unexpectedly).*ran out of memory.*val_dataloader.num_workers',
    ):
        load(Items(0, 1, kill, 3))


def test_errors_of_items_stay_what_they_are():
    def fail():
        raise RuntimeError('of a transform')

    with pytest.raises(RuntimeError, match='of a transform') as error:
        load(Items(0, fail))
    assert 'val_dataloader' not in str(error.value)


@pytest.mark.parametrize('timeout', [0, 7.0])
def test_what_the_config_says_holds(timeout):
    loader = DataLoader(Items(0), batch_size=1, num_workers=1, timeout=timeout)
    list(load_batches(runner(timeout=timeout), loader, 'val_dataloader'))
    assert loader.timeout == timeout


def test_without_workers_there_is_nothing_to_wait_for():
    loader = DataLoader(Items(0), batch_size=1)
    assert len(list(load_batches(runner(), loader, 'val_dataloader'))) == 1 and loader.timeout == 0


@pytest.mark.parametrize(
    'limit, size, seconds', [(60, 16, 2880), (60, 1, 600), (None, 16, 2880), (300, 4, 3120)]
)
def test_the_wait_allows_for_time_limits_and_the_storage_for_each_video_of_a_batch(limit, size, seconds):
    decode = DecodeVideo(SAMPLING, time_limit=limit, **({} if limit else dict(max_bytes=None)))
    joined = ConcatDataset([Items(0, pipeline=[]), Items(0, pipeline=[decode])])
    joined.datasets[1].storage_wait = 30
    loader = DataLoader(joined, batch_size=size, num_workers=1)
    assert worker_timeout(loader) == seconds


def test_a_process_that_was_itself_stopped_waits_once_more(monkeypatch):
    """As if it had been stopped for a minute: then the clock says that far more than the timeout went by."""
    clock = iter([0, 60, 60, 61])
    monkeypatch.setattr(module, 'time', SimpleNamespace(monotonic=lambda: next(clock)))
    answers = iter([RuntimeError('DataLoader timed out after 1 seconds'), 'batch'])

    class Late:
        def __next__(self):
            answer = next(answers)
            if isinstance(answer, Exception):
                raise answer
            return answer

    assert module._next_batch(Late(), SimpleNamespace(timeout=1)) == 'batch'


@pytest.mark.parametrize(
    'kind, name, run',
    [
        (ResumableTrainLoop, 'train', 'run_epoch'),
        (VideoTextValLoop, 'val', 'run'),
        (VideoTextTestLoop, 'test', 'run'),
    ],
)
def test_every_loop_notices(kind, name, run):
    runner = SimpleNamespace(
        model=SimpleNamespace(train=list, eval=list),
        call_hook=lambda *args, **kwargs: None,
        cfg={f'{name}_dataloader': dict(timeout=0.5)},
    )
    loop = kind.__new__(kind)
    loop._runner, loop._iter, loop._epoch = runner, 0, 0
    loop.dataloader = DataLoader(Items(hang), num_workers=1, timeout=0.5)
    with pytest.raises(RuntimeError, match=f'{name}_dataloader: its 1 workers'):
        getattr(loop, run)()

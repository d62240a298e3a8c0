import logging
from types import SimpleNamespace

import pytest
from mmaction.structures import ActionDataSample
from torch.utils.data import ConcatDataset

from mmclip4clip.engine import BadVideoHook
from mmclip4clip.engine.hooks import bad_video_hook
from mmclip4clip.engine.hooks.bad_video_hook import append_videos, count_videos


def batch(*replaced, **metainfo) -> dict:
    samples = [ActionDataSample(metainfo=dict(video_id=f'v{i}')) for i in range(4)]
    for sample, names in zip(samples, replaced):
        sample.set_metainfo(dict(replaced=[(name, f'{name} is\nbroken') for name in names]))
    samples[-1].set_metainfo(metainfo)
    return dict(data_samples=samples)


@pytest.fixture
def runner(tmp_path, caplog):
    logger = logging.getLogger('bad-videos')
    caplog.set_level(logging.INFO, logger='bad-videos')
    return SimpleNamespace(
        work_dir=str(tmp_path),
        logger=logger,
        iter=0,
        train_dataloader=SimpleNamespace(dataset=SimpleNamespace(num_videos=40)),
    )


def train(hook, runner, *batches):
    for data_batch in batches:
        hook.after_train_iter(runner, runner.iter, data_batch)
        runner.iter += 1


def lines(runner, tmp_path) -> list:
    return (tmp_path / 'bad_videos.txt').read_text().splitlines()


def test_samples_and_videos_are_counted_and_videos_listed_once(runner, tmp_path, caplog):
    hook = BadVideoHook(interval=2)
    train(hook, runner, batch(['a'], ['b']), batch(['a']), batch(['a']), batch())
    assert lines(runner, tmp_path) == ['a\ta is broken', 'b\tb is broken']
    assert '2 videos could not be read, 3 samples were replaced so far' in caplog.text
    caplog.clear()
    train(hook, runner, batch(['b', 'a']))  # a sample that was drawn anew twice
    hook.after_train_epoch(runner)
    assert '2 videos could not be read, 5 samples were replaced so far' in caplog.text
    assert len(lines(runner, tmp_path)) == 2


def test_nothing_is_said_of_sound_videos(runner, tmp_path, caplog):
    hook = BadVideoHook(interval=1)
    train(hook, runner, batch(), batch())
    hook.after_train_epoch(runner)
    hook.after_val_iter(runner, 0, batch())
    hook.after_val_epoch(runner)
    assert not caplog.text and not (tmp_path / 'bad_videos.txt').exists()


def test_videos_that_the_storage_did_not_give_are_counted_apart(runner, tmp_path, caplog):
    hook = BadVideoHook(max_share=0, interval=1)
    train(hook, runner, batch(unavailable=[('x', 'x is away')]), batch(unavailable=[('y', 'y is away')]))
    hook.after_train_epoch(runner)  # they are no reason to stop
    assert '2 videos were replaced at times because the storage did not return them' in caplog.text
    assert not (tmp_path / 'bad_videos.txt').exists()
    caplog.clear()
    hook.after_train_epoch(runner)
    assert not caplog.text


def test_beyond_the_share_training_stops_and_says_how_many(runner, tmp_path):
    hook = BadVideoHook(max_share=0.05, interval=1)
    train(hook, runner, batch(['a'], ['b']))  # 2 of 40 are 5 %
    with pytest.raises(RuntimeError, match='3 of the 40 training videos .* max_share=0.05 .*c is\nbroken'):
        train(hook, runner, batch(['c']))
    assert len(lines(runner, tmp_path)) == 3


def test_the_share_is_looked_at_at_the_latest_when_the_epoch_ends(runner):
    hook = BadVideoHook(max_share=0, interval=1000)
    train(hook, runner, batch(['a']))
    with pytest.raises(RuntimeError, match='1 of the 40 training videos'):
        hook.after_train_epoch(runner)


def test_all_processes_are_counted_and_stop_together(runner, monkeypatch):
    other = {'x': 'x is broken', 'a': 'a is broken'}, 5
    monkeypatch.setattr(bad_video_hook, 'all_gather_object', lambda mine: [mine, other])
    hook = BadVideoHook(max_share=0.05, interval=1)
    train(hook, runner, batch(['a']))
    assert set(hook._found) == {'a', 'x'} and hook._replaced == 6
    monkeypatch.setattr(bad_video_hook, 'all_gather_object', lambda mine: [mine, ({'y': 'y'}, 1)])
    with pytest.raises(RuntimeError, match='3 of the 40'):  # this process saw nothing new itself
        train(hook, runner, batch())


def test_a_resumed_run_does_not_list_a_video_again(runner, tmp_path):
    (tmp_path / 'bad_videos.txt').write_text('a\tlong known\n')
    train(BadVideoHook(interval=1), runner, batch(['a'], ['b']))
    assert lines(runner, tmp_path) == ['a\tlong known', 'b\tb is broken']


def test_in_a_test_the_missed_videos_are_listed(runner, tmp_path, caplog):
    hook = BadVideoHook()
    hook.after_test_iter(runner, 0, batch(unreadable='no frames'))
    hook.after_test_epoch(runner)
    assert lines(runner, tmp_path) == ['v3\tno frames']
    assert '1 videos could not be read and count as missed' in caplog.text
    caplog.clear()
    hook.after_test_epoch(runner)
    assert not caplog.text  # each evaluation begins anew


def test_videos_are_counted_through_wrappers():
    one, two = SimpleNamespace(num_videos=3), SimpleNamespace(num_videos=4)
    assert count_videos(SimpleNamespace(dataset=one)) == 3
    joined = ConcatDataset([[1], [2]])
    joined.datasets = [SimpleNamespace(dataset=one), two]
    assert count_videos(joined) == 7


@pytest.mark.parametrize(
    'arguments, message',
    [(dict(max_share=5), 'max_share must lie between 0 and 1, got 5'), (dict(interval=0), 'interval')],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        BadVideoHook(**arguments)


def joined(tmp_path) -> SimpleNamespace:
    """Two datasets that call different videos v0 to v9, and one of them once more, under another name."""
    one = SimpleNamespace(video_ids={f'/one/v{i}': f'v{i}' for i in range(10)})
    two = SimpleNamespace(video_ids={f'/two/v{i}': f'v{i}' for i in range(9)})
    two.video_ids |= {'/two/x': 'x', '/one/v0': 'w0'}
    return SimpleNamespace(dataset=SimpleNamespace(datasets=[one, two]))


def replaced(*videos) -> dict:
    sample = ActionDataSample(
        metainfo=dict(
            video_id='v',
            replaced=[(name, f'{key} is broken') for name, key in videos],
            replaced_keys=[key for _, key in videos],
        )
    )
    return dict(data_samples=[sample])


def test_videos_of_one_name_in_two_datasets_are_counted_and_listed_apart(runner, tmp_path, caplog):
    runner.train_dataloader = SimpleNamespace(dataset=joined(tmp_path))
    assert count_videos(runner.train_dataloader.dataset) == 20
    hook = BadVideoHook(max_share=0.15, interval=1)
    train(hook, runner, replaced(('v1', '/one/v1'), ('v9', '/one/v9')), replaced(('v1', '/two/v1')))
    assert lines(runner, tmp_path) == [
        '/one/v1\t/one/v1 is broken',
        'v9\t/one/v9 is broken',
        '/two/v1\t/two/v1 is broken',
    ]
    assert '3 videos could not be read, 2 samples' in caplog.text
    again = BadVideoHook(max_share=0.15, interval=1)  # of a resumed run
    train(again, runner, replaced(('v1', '/two/v1'), ('v9', '/one/v9')))
    assert len(lines(runner, tmp_path)) == 3
    with pytest.raises(RuntimeError, match='4 of the 20 training videos'):
        train(hook, runner, replaced(('x', '/two/x')))


def test_a_file_of_two_datasets_is_one_bad_video(runner, tmp_path):
    runner.train_dataloader = SimpleNamespace(dataset=joined(tmp_path))
    hook = BadVideoHook(max_share=0.05, interval=1)  # 1 of 20
    train(hook, runner, replaced(('v0', '/one/v0')), replaced(('w0', '/one/v0')))
    assert len(lines(runner, tmp_path)) == 1


def test_a_test_lists_videos_of_one_name_apart(runner, tmp_path, caplog):
    runner.test_dataloader = SimpleNamespace(dataset=joined(tmp_path))
    hook = BadVideoHook()
    for key in ('/one/v1', '/two/v1', '/one/v9'):
        sample = ActionDataSample(metainfo=dict(video_id=key[-2:], video_key=key, unreadable='no frames'))
        hook.after_test_iter(runner, 0, dict(data_samples=[sample]))
    hook.after_test_epoch(runner)
    assert lines(runner, tmp_path) == ['/one/v1\tno frames', '/two/v1\tno frames', 'v9\tno frames']
    assert '3 videos could not be read and count as missed' in caplog.text


@pytest.mark.parametrize('left', [b'a\tis brok', b'a\t\xff\xfe is broken\n', b'\x00\x00'])
def test_a_damaged_list_is_gone_on_with(tmp_path, left):
    path = tmp_path / 'bad_videos.txt'
    path.write_bytes(left)
    append_videos(path, dict(a='is broken', b='is broken\ntoo', c='\udcff'))
    written = path.read_bytes()
    assert written.startswith(left) and b'\nb\tis broken too\nc\t\\udcff\n' in written
    assert written.count(b'a\t') == 1


def test_a_list_that_cannot_be_written_ends_no_training(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(bad_video_hook, 'print_log', lambda text, *_, **__: said.append(text))
    (tmp_path / 'bad_videos.txt').mkdir()
    append_videos(tmp_path / 'bad_videos.txt', dict(a='is broken'))
    assert 'bad_videos.txt could not be written' in said[0] and 'it lacks a' in said[0]

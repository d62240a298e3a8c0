import json

import pytest

from mmclip4clip.file_lock import WorkDirInUseError, release_work_dir

from ..test_file_lock import holder  # noqa: F401  a fixture


@pytest.fixture
def taken(holder, tmp_path):  # noqa: F811
    """Let another process have the work dir of this test, and return its number."""
    return holder.pid


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob('*') if path.is_file()}


def test_a_second_training_is_refused_before_it_writes_and_tests_are_told_apart(
    tool, config, tmp_path, request
):
    flags = ['--cfg-options', 'train_cfg.max_epochs=1']
    tool('train.py', config, '--work-dir', tmp_path, *flags)
    release_work_dir(tmp_path)
    pid, before = request.getfixturevalue('taken'), contents(tmp_path)
    for extra in ([], ['--resume']):
        with pytest.raises(WorkDirInUseError, match=f'another training runs in .*"pid": {pid}'):
            tool('train.py', config, '--work-dir', tmp_path, *extra, *flags)
    assert contents(tmp_path) == dict(before) | {
        tmp_path / 'training.lock': (tmp_path / 'training.lock').read_bytes()
    }
    for _ in range(2):
        tool('test.py', config, 'epoch_1.pth', '--work-dir', tmp_path)
    entries = json.loads((tmp_path / 'metrics.json').read_text())
    assert [entry['stage'] for entry in entries] == ['val', 'test', 'test']
    assert len({entry['run'] for entry in entries}) == 3


def test_a_cut_metrics_file_does_not_end_a_training(tool, config, tmp_path):
    (tmp_path / 'w').mkdir()
    (tmp_path / 'w/metrics.json').write_text('[{"stage": "val", "ep')
    (tmp_path / 'w/bad_videos.txt').write_bytes(b'\xff\xfe')
    tool('train.py', config, '--work-dir', 'w')
    entries = json.loads((tmp_path / 'w/metrics.json').read_text())
    assert [entry['epoch'] for entry in entries] == [1, 2] and entries[0]['run'] == entries[1]['run']
    assert (tmp_path / 'w/metrics.damaged1.json').read_text() == '[{"stage": "val", "ep'

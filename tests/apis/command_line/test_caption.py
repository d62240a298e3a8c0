import json
from dataclasses import replace

import pytest

from mmclip4clip.apis import load

from .conftest import SETTINGS


@pytest.fixture
def broken(folder) -> str:
    (folder / 'broken.mp4').write_text('no video')
    return 'broken.mp4'


def test_captions_are_those_of_the_python_interface_and_unreadable_files_are_on_stderr(run, tested, broken):
    files = tested.files[:3]
    expected = load(tested.path).caption(files)
    args = [
        'caption',
        files[0],
        broken,
        *files[1:],
        '--model',
        tested.path,
        '--batch-size',
        2,
        '--workers',
        0,
    ]
    done = run(*args)
    assert done.code == 0
    assert done.out.splitlines() == [f'{file}\t{caption}' for file, caption in zip(files, expected)]
    assert 'broken.mp4' in done.err and 'WARNING' in done.err and done.err.count('\n') == 1
    rows = [json.loads(line) for line in run(*args, '--json').out.splitlines()]
    assert rows == [dict(file=file, caption=caption) for file, caption in zip(files, expected)]


def test_the_model_of_the_index_is_the_default_and_folders_are_taken(run, tested, folder):
    replace(SETTINGS, model=replace(SETTINGS.model, name=str(tested.path))).write(folder / 'index')
    (folder / 'some').mkdir()
    (folder / 'some/a.mp4').symlink_to(tested.files[0])
    done = run('caption', 'some', '--workers', 0)
    assert done.code == 0 and done.out.startswith('some/a.mp4\t') and done.out.count('\n') == 1


def test_without_a_model_without_readable_videos_and_without_a_captioner(run, tested, checkpoint_of, broken):
    done = run('caption', broken, '--index', 'nowhere')
    assert done.code == 1 and '--model CHECKPOINT is needed' in done.err
    done = run('caption', broken, '--model', tested.path, '--workers', 0)
    assert done.code == 1 and done.out == '' and 'none of the 1 videos can be read' in done.err
    done = run('caption', 'nothing.mp4', '--model', tested.path)
    assert done.code == 1 and 'nothing.mp4' in done.err
    done = run('caption', tested.files[0], '--model', checkpoint_of('Mean')[0])
    assert done.code == 1 and 'writes no captions' in done.err

"""Features to files, and tests and trainings from them, by the tools."""

import json
import runpy
import sys
from pathlib import Path

import pytest
import torch
from mmaction.datasets.transforms import DecordDecode
from mmaction.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmclip4clip.datasets.feature_files import FeatureFolder
from mmclip4clip.engine.loops import feature_extraction_loop
from mmclip4clip.models import CLIPBackbone

from ..forks import begin_anew
from .conftest import CONFIG, ROOT, query_bank, weights
from .test_heads import with_head


@pytest.fixture(scope='module')
def run():
    """Run a tool in this process."""

    def run(name, *args):
        with pytest.MonkeyPatch.context() as patch:
            begin_anew(patch.setattr)
            patch.setattr(sys, 'argv', [name, *map(str, args)])
            runpy.run_path(str(ROOT / 'tools' / name), run_name='__main__')

    return run


def save_random(config: str, path: Path) -> Path:
    """Save the model of a config with random weights."""
    init_default_scope('mmaction')
    torch.manual_seed(0)
    torch.save(dict(state_dict=MODELS.build(Config.fromfile(config).model).state_dict()), path)
    return path


@pytest.fixture(scope='module')
def base(shapes, tmp_path_factory) -> Path:
    """A folder with a config, a checkpoint, and the features of its splits test and train."""
    folder = tmp_path_factory.mktemp('features')
    (folder / 'tiny.py').write_text(CONFIG.format(root=ROOT, shapes=shapes))
    save_random(str(folder / 'tiny.py'), folder / 'whole.pth')
    return folder


@pytest.fixture(scope='module')
def features(base, run) -> Path:
    for split in ('test', 'train'):
        extract(run, base, base / 'features', '--split', split)
    return base / 'features'


def extract(run, base, out, *args):
    options = ('--work-dir', base / 'w', '--shard-size', 5, '--out', out)
    run('extract_features.py', base / 'tiny.py', base / 'whole.pth', *options, *args)


def figures(folder: Path) -> dict:
    entry = json.loads((folder / 'metrics.json').read_text())[-1]
    return {key: value for key, value in entry.items() if '/' in key and key != 'checkpoint'}


def forbid_videos(monkeypatch) -> None:
    """Let the test fail if a video is decoded or an encoder built."""

    def refuse(*args, **kwargs):
        raise AssertionError('a video or an encoder is used')

    monkeypatch.setattr(DecordDecode, 'transform', refuse)
    monkeypatch.setattr(CLIPBackbone, '__init__', refuse)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob('shard-*'))}


def test_each_video_is_stored_once_with_its_captions_and_windows(features, shapes):
    folder = FeatureFolder(features / 'train')
    entries = json.loads((shapes / 'train.json').read_text())
    assert [info['captions'] for info in folder.infos] == [entry['captions'] for entry in entries]
    assert [info['video_id'] for info in folder.infos] == [entry['video'] for entry in entries]
    assert folder.settings.parts == ['frames', 'video', 'text'] and len(folder.shards) == 2  # of 8, a batch
    assert folder.shards[1].frames(7).shape == (4, 32)


def test_figures_from_features_are_those_of_videos_with_post_processing(
    run, base, features, shapes, tmp_path, monkeypatch
):
    options = ('--cfg-options', *query_bank(shapes))
    run('test.py', base / 'tiny.py', base / 'whole.pth', '--work-dir', tmp_path / 'videos', *options)
    forbid_videos(monkeypatch)
    given = ('--features', features, '--work-dir', tmp_path / 'files')
    run('test.py', base / 'tiny.py', base / 'whole.pth', *given, *options)
    expected = figures(tmp_path / 'videos')
    assert 'retrieval/qb_R1' in expected and 'retrieval/dsl_R1' in expected
    assert figures(tmp_path / 'files') == expected


def test_reranked_figures_of_tokens_from_features_are_those_of_videos(run, base, tmp_path, monkeypatch):
    config = with_head(str(base / 'tiny.py'), 'WTI')
    whole = save_random(config, tmp_path / 'wti.pth')
    options = ('--cfg-options', 'test_cfg.rerank_top=3')
    run('test.py', config, whole, '--work-dir', tmp_path / 'videos', *options)
    run('extract_features.py', config, whole, '--out', tmp_path / 'f', '--work-dir', tmp_path / 'w')
    forbid_videos(monkeypatch)
    run('test.py', config, whole, '--features', tmp_path / 'f', '--work-dir', tmp_path / 'files', *options)
    assert figures(tmp_path / 'videos')['rerank/missed'] > 0
    assert figures(tmp_path / 'files') == figures(tmp_path / 'videos')


def test_an_unreadable_video_is_stored_as_such_and_counts_as_missed(run, base, shapes, tmp_path, monkeypatch):
    entries = json.loads((shapes / 'test.json').read_text())[:4]
    (tmp_path / 'test').symlink_to(shapes / 'videos' / 'test')
    (tmp_path / 'bad.mp4').write_bytes(b'no video')
    entries[1] = dict(entries[1], video='bad.mp4')
    (tmp_path / 'four.json').write_text(json.dumps(entries))
    (tmp_path / 'four.py').write_text(
        f"""_base_ = '{base}/tiny.py'
sampling = dict(type='SampleAtRate', fps=2, max_frames=4)
steps = [dict(type='DecodeVideo', sampling=sampling), *_base_.pipeline[3:]]
test_dataloader = dict(batch_size=2, dataset=dict(
    data_root='{tmp_path}', ann_file='four.json', data_prefix=dict(video=''), bad_videos='report',
    pipeline=steps))
"""
    )
    config, options = tmp_path / 'four.py', ('--cfg-options', 'default_hooks.video_check.check_videos=False')
    run('test.py', config, base / 'whole.pth', '--work-dir', tmp_path / 'videos', *options)
    out = ('--out', tmp_path / 'f', '--work-dir', tmp_path / 'w')
    run('extract_features.py', config, base / 'whole.pth', *out, *options)
    forbid_videos(monkeypatch)
    given = ('--features', tmp_path / 'f', '--work-dir', tmp_path / 'files')
    run('test.py', config, base / 'whole.pth', *given, *options)
    assert figures(tmp_path / 'files')['retrieval/unreadable_videos'] == 1
    assert figures(tmp_path / 'files') == figures(tmp_path / 'videos')
    folder = FeatureFolder(tmp_path / 'f' / 'test')
    assert 'bad.mp4' in folder.infos[1]['unreadable'] and not folder.shards[0].frames(1).any()


def test_a_run_that_broke_off_goes_on_and_ends_with_the_same_files(
    run, base, features, tmp_path, monkeypatch
):
    write, written = feature_extraction_loop.write_shard, []

    def fail_third(path, *args):
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(path.name)
        write(path, *args)

    with monkeypatch.context() as patch:
        patch.setattr(feature_extraction_loop, 'write_shard', fail_third)
        with pytest.raises(KeyboardInterrupt):
            extract(run, base, tmp_path)
    assert list(contents(tmp_path / 'test')) == ['shard-00000.safetensors', 'shard-00001.safetensors']
    (tmp_path / 'test' / 'shard-00000.safetensors').unlink()
    decoded, decode = [], DecordDecode.transform
    monkeypatch.setattr(
        DecordDecode, 'transform', lambda self, r: decoded.append(r['filename']) or decode(self, r)
    )
    extract(run, base, tmp_path)
    assert contents(tmp_path / 'test') == contents(features / 'test')
    assert len(decoded) == 11  # those of the second shard are not read again
    with pytest.raises(ValueError, match="(?s)other settings.*dtype: 'float32' -> 'float16'"):
        extract(run, base, tmp_path, '--half')


def test_two_processes_write_the_same_files(command, base, features, tmp_path):
    options = ('--work-dir', tmp_path / 'w', '--shard-size', 5, '--out', tmp_path)
    command('extract_features.py', base / 'tiny.py', base / 'whole.pth', *options, processes=2)
    assert contents(tmp_path / 'test') == contents(features / 'test')


def test_an_adapter_that_trained_from_features_is_joined_with_its_encoder(
    run, base, features, tmp_path, monkeypatch
):
    with monkeypatch.context() as patch:
        forbid_videos(patch)
        once = ('--cfg-options', 'train_cfg.max_epochs=1')
        given = ('--features', features, '--work-dir', tmp_path / 'w')
        run('train.py', base / 'tiny.py', *given, *once)
    head = tmp_path / 'w' / 'epoch_1.pth'
    assert not any('clip' in key for key in weights(head))
    joined = tmp_path / 'joined.pth'
    run('model_converters/join_head.py', base / 'tiny.py', head, joined, '--checkpoint', base / 'whole.pth')
    run('test.py', base / 'tiny.py', joined, '--work-dir', tmp_path / 't')
    assert figures(tmp_path / 't') == figures(tmp_path / 'w')
    kept, before = weights(joined), weights(base / 'whole.pth')
    assert kept.keys() == before.keys()
    changed = {key.split('.')[0] for key in kept if not torch.equal(kept[key], before[key])}
    assert changed == {'adapter', 'backbone'}  # of the backbone only the logit scale
    assert [k for k in kept if k.startswith('backbone') and not torch.equal(kept[k], before[k])] == [
        'backbone.clip.logit_scale'
    ]


def test_a_checkpoint_of_another_encoder_is_refused(run, base, features, tmp_path):
    content = torch.load(base / 'whole.pth', weights_only=True)
    content['state_dict']['backbone.clip.visual_projection.weight'][:] = 0
    torch.save(content, tmp_path / 'other.pth')
    with pytest.raises(RuntimeError, match='other.pth belongs to another encoder'):
        run('test.py', base / 'tiny.py', tmp_path / 'other.pth', '--features', features)

import os
import pickle

import numpy as np
import pytest
import torch
from mmengine.config import Config, config
from mmengine.logging import HistoryBuffer
from mmengine.runner.checkpoint import CheckpointLoader, _load_checkpoint

from mmclip4clip import compat
from mmclip4clip.checkpoint_file import CheckpointFileError


@pytest.fixture(autouse=True)
def _patched():
    compat.apply_patches()


def test_mmengines_own_checkpoints_load_with_weights_only(tmp_path):
    buffer = HistoryBuffer([1.0, 2.0], [1, 1])
    content = dict(
        state_dict=dict(w=torch.ones(2)),
        meta=dict(epoch=1),
        message_hub=dict(
            log_scalars={'train/loss': buffer},
            runtime_info=dict(best=np.float64(3.0)),
            resumed_keys={'train/loss': True},
        ),
    )
    torch.save(content, tmp_path / 'c.pth')
    loaded = _load_checkpoint(str(tmp_path / 'c.pth'), map_location='cpu')
    history = loaded['message_hub']['log_scalars']['train/loss']
    assert history.data[0].tolist() == [1.0, 2.0]
    assert history.statistics('mean') == 1.5
    history.update(6.0)
    assert history.max() == 6.0
    assert loaded['message_hub']['runtime_info']['best'] == 3.0


class RunsAFunction:
    def __reduce__(self):
        return os.mkdir, ('harmed',)


class AsksForAnAttribute:
    def __reduce__(self):
        return getattr, (HistoryBuffer, '__init__')


class ReachesThroughGetattr:
    def __reduce__(self):
        return getattr, (dict, 'fromkeys')


class ForgesPointers:
    """An array of plain bytes whose dtype then claims that they are objects."""

    class Dtype:
        def __reduce__(self):
            state = (3, '<', None, ('a',), {'a': (np.dtype('O'), 0)}, -1, -1, 0)
            return np.dtype, ('f8', False, True), state

    def __reduce__(self):
        reconstruct = np.zeros(1).__reduce__()[0]
        return reconstruct, (np.ndarray, (0,), b'b'), (1, (1,), self.Dtype(), False, b'AAAAAAAA')


@pytest.mark.parametrize(
    'harmful', [RunsAFunction, AsksForAnAttribute, ReachesThroughGetattr, ForgesPointers]
)
@pytest.mark.parametrize('zipped', [True, False])
def test_a_malicious_checkpoint_is_refused_and_executes_nothing(tmp_path, monkeypatch, harmful, zipped):
    monkeypatch.chdir(tmp_path)
    torch.save(dict(state_dict={}, extra=harmful()), 'bad.pth', _use_new_zipfile_serialization=zipped)
    with pytest.raises(RuntimeError, match='bad.pth was refused .* nothing in it was run') as error:
        CheckpointLoader.load_checkpoint('bad.pth')
    assert not (tmp_path / 'harmed').exists()
    assert 'weights_only=False' not in str(error.value)


@pytest.mark.parametrize(
    'content, message',
    [
        (b'', 'is damaged: it is empty'),
        (b'text', "is not a checkpoint: it is text that begins with 'text'"),
        (b'PK\x03\x04 a broken archive', 'is damaged: it was cut short'),
    ],
)
def test_a_file_that_is_no_checkpoint_is_named(tmp_path, content, message):
    (tmp_path / 'bad.pth').write_bytes(content)
    with pytest.raises(CheckpointFileError, match=f'bad.pth {message}') as error:
        CheckpointLoader.load_checkpoint(str(tmp_path / 'bad.pth'))
    assert 'run' not in str(error.value)


def test_the_malicious_checkpoint_would_have_done_harm(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pickle.loads(pickle.dumps(RunsAFunction()))
    assert (tmp_path / 'harmed').exists()


def test_getattr_is_not_the_builtin():
    with pytest.raises(pickle.UnpicklingError, match="attribute '__init__'"):
        compat.history_buffer_method(HistoryBuffer, '__init__')
    with pytest.raises(pickle.UnpicklingError, match="attribute 'min'"):
        compat.history_buffer_method(np.ndarray, 'min')


def test_downloads_are_safe_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    (tmp_path / 'hub/checkpoints').mkdir(parents=True)  # as if downloaded before
    torch.save(dict(state_dict={}, extra=RunsAFunction()), tmp_path / 'hub/checkpoints/bad.pth')
    with pytest.raises(RuntimeError, match='https://example.org/bad.pth was refused'):
        CheckpointLoader.load_checkpoint('https://example.org/bad.pth')
    assert not (tmp_path / 'harmed').exists()


@pytest.mark.skipif(not hasattr(config, 'FormatCode'), reason='onedl-mmengine imports it when it is used')
def test_the_text_of_a_config_is_formatted_again_only_if_it_changed(monkeypatch):
    cfg = Config(dict(model=dict(type='A', width=[1, 2]), names={'b c': None}))
    texts, original = [], config.FormatCode

    def format_code(text, **options):
        texts.append(text)
        return original(text, **options)

    monkeypatch.setattr(config, 'FormatCode', format_code)
    compat.format_configs_once.__wrapped__()
    first = [cfg.pretty_text, cfg.pretty_text, Config(dict(cfg)).pretty_text]
    cfg.model.width.append(3)
    assert cfg.pretty_text != first[0] and len(set(first)) == 1 and len(texts) == 2
    changed = cfg.pretty_text
    monkeypatch.setattr(config, 'FormatCode', original)
    assert changed == cfg.pretty_text


@pytest.mark.skipif(not hasattr(config, 'FormatCode'), reason='onedl-mmengine imports it when it is used')
def test_a_text_is_formatted_while_other_threads_format_others(monkeypatch):
    monkeypatch.setattr(config, 'FormatCode', lambda text, **options: (text.upper(), True))
    compat.format_configs_once.__wrapped__()

    class Interrupted(str):
        """Whenever it is looked up, another thread takes its turn and formats another text."""

        __eq__ = str.__eq__

        def __hash__(self):
            config.FormatCode('other', style_config={})
            return super().__hash__()

    assert config.FormatCode(Interrupted('text'), style_config={}) == ('TEXT', True)

"""What is said where the library of a backend is missing or does not fit."""

import builtins
import importlib.util
import sys
import types
from importlib import metadata

import pytest
import torch

from mmclip4clip.datasets import DecodeVideo, SampleEvenly
from mmclip4clip.datasets.video_readers import (
    ReaderProcess,
    backends,
    check_backends,
    default_backends,
    open_reader,
)
from mmclip4clip.datasets.video_readers.libraries import import_torchcodec


@pytest.fixture
def without(monkeypatch):
    """Let imports of a module fail, as where it is not installed."""

    def remove(*names):
        for name in [*names, *(m for m in sys.modules if m.partition('.')[0] in names)]:
            monkeypatch.setitem(sys.modules, name, None)
        version = metadata.version

        def fake(name):
            if name in names:
                raise metadata.PackageNotFoundError(name)
            return version(name)

        monkeypatch.setattr(metadata, 'version', fake)

    return remove


@pytest.mark.parametrize(
    'backend, line',
    [
        ('decord', r'pip install decord \(or decord2 or eva-decord\)'),
        ('torchcodec', 'pip install torchcodec'),
    ],
)
def test_a_backend_that_is_not_installed_says_what_to_install(files, without, backend, line):
    without(backend)
    for use in (
        lambda: DecodeVideo(SampleEvenly(2), ['pyav', backend]),
        lambda: open_reader(backend, str(files['mp4'])),
        lambda: ReaderProcess().open(backend, str(files['mp4']), seconds=60),
    ):
        with pytest.raises(ImportError, match=f'{backend!r} needs a package that is missing: {line}'):
            use()


def test_decord_is_tried_by_default_only_where_it_is_installed(files, without):
    assert DecodeVideo(SampleEvenly(2)).backends == default_backends() == ('pyav', 'decord', 'opencv')
    without('decord')
    decode = DecodeVideo(SampleEvenly(2), time_limit=None)
    assert decode.backends == ('pyav', 'opencv')
    assert decode(dict(filename=str(files['mp4'])))['backend'] == 'pyav'


def test_a_backend_is_imported_only_when_it_is_used(files, without):
    without('decord', 'torchcodec')  # importing any of them fails
    for name in ('decord_reader', 'torchcodec_reader', 'backends'):
        spec = importlib.util.find_spec(f'mmclip4clip.datasets.video_readers.{name}')
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
    decode = DecodeVideo(SampleEvenly(2), ['pyav', 'opencv'])
    assert decode(dict(filename=str(files['mp4'])))['backend'] == 'pyav'


def test_a_library_that_does_not_load_is_no_fault_of_the_video(files, monkeypatch):
    real = builtins.__import__

    def broken(name, *args, **kwargs):
        if name == 'decord':
            raise OSError('libdecord.so: cannot open shared object file')
        return real(name, *args, **kwargs)

    monkeypatch.delitem(sys.modules, 'decord', raising=False)
    monkeypatch.setattr(builtins, '__import__', broken)
    for time_limit in (None, 60):
        decode = DecodeVideo(SampleEvenly(2), ['decord', 'pyav'], time_limit)
        with pytest.raises(ImportError, match='libdecord.so: cannot .*--force-reinstall --no-deps decord'):
            decode(dict(filename=str(files['mp4'])))


def fake_torchcodec(monkeypatch, version, error=None, torch_version='2.13.0', cuda=None):
    """Install a torchcodec that fails like the real one, as seen with 0.11 to 0.17."""

    def decoder(source):
        raise RuntimeError(error)

    real = metadata.version
    monkeypatch.setattr(metadata, 'version', lambda name: version if name == 'torchcodec' else real(name))
    monkeypatch.setattr(torch, '__version__', torch_version)
    monkeypatch.setattr(torch.version, 'cuda', cuda)
    decoders = types.SimpleNamespace(VideoDecoder=decoder)
    module = types.SimpleNamespace(ffmpeg_major_version=None if error else 5, __spec__=object())
    monkeypatch.setitem(sys.modules, 'torchcodec', module)
    monkeypatch.setitem(sys.modules, 'torchcodec.decoders', decoders)
    return decoders


NO_FFMPEG = 'Could not load libtorchcodec. OSError: libavutil.so.60: cannot open shared object file'
NO_CUDA = 'Could not load libtorchcodec. OSError: libnvrtc.so.13: cannot open shared object file'
OTHER_ABI = 'Could not load libtorchcodec. OSError: libtorchcodec_core5.so: undefined symbol: _ZN3c105'


@pytest.mark.parametrize(
    'installed, message',
    [
        (dict(version='0.13.0', error=NO_FFMPEG), 'no shared libraries of FFmpeg .*apt-get install ffmpeg'),
        (
            dict(version='0.14.0', error=NO_CUDA),
            r"\(CUDA None\) lacks.* pip install 'torchcodec>=0.11,<0.14'$",
        ),
        (
            dict(version='0.17.0', error=NO_CUDA, cuda='12.6'),
            r"\(CUDA 12.6\) lacks.*torchcodec>=0.11,<0.14'$",
        ),
        (dict(version='0.11.1', error=OTHER_ABI), 'do not fit each other: pip install --upgrade torchcodec'),
        (dict(version='0.10.0'), "torchcodec 0.10.0 and torch 2.13.0 were .*pip install 'torchcodec>=0.11'"),
        (dict(version='0.17.0', torch_version='2.6.0'), "torch 2.6.0 were found: use the backend 'pyav'"),
        (dict(version='0.18.0', error='libtorchcodec: odd'), r'\(RuntimeError: libtorchcodec: odd\)'),
    ],
)
def test_a_torchcodec_that_does_not_load_is_named_with_the_cure(monkeypatch, installed, message):
    fake_torchcodec(monkeypatch, **installed)
    with pytest.raises(ImportError, match=f"^the backend 'torchcodec' .*{message}"):
        check_backends(['pyav', 'torchcodec'])


def test_a_torchcodec_that_loads_is_taken(monkeypatch):
    decoders = fake_torchcodec(monkeypatch, '0.17.0', torch_version='2.14.1+cu130', cuda='13.0')
    assert import_torchcodec() is decoders
    assert backends.BACKENDS.keys() >= {'torchcodec'}
    check_backends(['torchcodec'])
    fake_torchcodec(monkeypatch, '0.18.0', error='the video is empty')  # and no version of FFmpeg is told
    check_backends(['torchcodec'])

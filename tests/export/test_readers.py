"""Frames and captions without torch; that they equal those of torch is in tests/apis/test_onnx_export.py."""

import numpy as np
import pytest

from mmclip4clip.export.caption_reader import CaptionReader
from mmclip4clip.export.export_folder import ExportError
from mmclip4clip.export.frame_reader import FrameReader
from mmclip4clip.export.onnx_encoder import find_provider, wanted_threads

SAMPLE = [dict(type='SampleEvenly', num_frames=2)]
DECODE = dict(time_limit=None, backends=['pyav', 'a-missing-one'])


def test_backends_that_are_not_installed_are_left_out():
    read = FrameReader(dict(decode=DECODE, sampling=SAMPLE, resize=None))
    assert read.decode.backends == ('pyav',)
    video = dict(
        filename='array', decoded_frames=np.arange(48, dtype=np.uint8).reshape(4, 2, 2, 3), decoded_fps=1
    )
    assert read(video)[:, 0].tolist() == [[[0, 3], [6, 9]], [[36, 39], [42, 45]]]


@pytest.mark.parametrize(
    'settings, reason',
    [
        (dict(decode=DECODE, sampling=[dict(type='System')], resize=None), "unknown step 'System'"),
        (dict(decode=DECODE, sampling=SAMPLE, resize=dict(type='Resize')), "unknown step 'Resize'"),
        (dict(decode=dict(DECODE, more=1), sampling=SAMPLE, resize=None), 'more'),
        (dict(decode=DECODE, sampling=SAMPLE), 'resize'),
    ],
)
def test_steps_of_another_version_are_refused(settings, reason):
    with pytest.raises(ExportError, match=reason):
        FrameReader(settings)


def test_a_tokenizer_without_its_settings_is_refused(shapes):
    with pytest.raises(ExportError, match="damaged: KeyError\\('start'\\)"):
        CaptionReader(shapes / 'tokenizer', {})


def test_devices_are_providers_of_onnx_runtime():
    available = ['CUDAExecutionProvider', 'CPUExecutionProvider']
    assert find_provider('cuda:1', available) == ('CUDAExecutionProvider', dict(device_id=1))
    assert find_provider('cuda', available) == 'CUDAExecutionProvider'
    for device in ('cuda:x', 'mps', ''):
        with pytest.raises(ValueError, match='cannot be used: ONNX Runtime has CUDAExecutionProvider'):
            find_provider(device, available)


@pytest.mark.parametrize(
    'value, threads', [('3', 3), ('4,2', 4), (' 2 ', 2), ('', 0), ('many', 0), (None, 0)]
)
def test_threads_are_the_first_number_of_the_variable(monkeypatch, value, threads):
    monkeypatch.delenv('OMP_NUM_THREADS', raising=False)
    if value is not None:
        monkeypatch.setenv('OMP_NUM_THREADS', value)
    assert wanted_threads() == threads

import numpy as np
import pytest
from mmengine.config import Config

from mmclip4clip.apis.frame_pipeline import FramePipeline, build_tokenizer, decoding_steps, find_pipeline
from mmclip4clip.models.backbones.frame_format import FrameFormat

SAMPLE = dict(type='SampleEvenly', num_frames=2)
FORMAT = dict(type='FormatShape', input_format='NCHW')
FRAMES = np.random.default_rng(0).integers(0, 256, (6, 48, 64, 3), np.uint8)


def frames_of(steps, format=None):
    item = dict(filename='array', decoded_frames=FRAMES, decoded_fps=2.0)
    return FramePipeline(steps, format)(item)['inputs']['imgs'].numpy().transpose(0, 2, 3, 1)


def test_readers_of_mmaction2_and_caches_become_decode_video(tmp_path):
    for library in ('Decord', 'PyAV', 'OpenCV'):
        steps = [dict(type=f'{library}Init'), SAMPLE, dict(type=f'mmaction.{library}Decode')]
        cached = [dict(type='CacheFrames', transforms=steps, folder=str(tmp_path / 'cache')), FORMAT]
        assert [step['type'] for step in decoding_steps(cached)] == ['DecodeVideo', 'FormatShape']
        assert (frames_of(cached) == FRAMES[[0, 5]]).all()
    assert not (tmp_path / 'cache').exists()
    with pytest.raises(ValueError, match=r"no DecodeVideo: \['SampleEvenly', 'FormatShape'\]"):
        FramePipeline([SAMPLE, FORMAT])


def test_frames_get_the_size_of_the_encoder_unless_the_pipeline_resizes():
    decode, format = dict(type='DecodeVideo', sampling=SAMPLE), FrameFormat(48, (0.0,) * 3, (1.0,) * 3)
    assert frames_of([decode, FORMAT]).shape == (2, 48, 64, 3)
    assert (frames_of([decode, FORMAT], format) == FRAMES[[0, 5], :, 8:56]).all()  # the center, as it is
    assert frames_of([decode, dict(type='ResizeCenterCrop', size=32), FORMAT], format).shape[1:3] == (32, 32)


def test_the_pipeline_of_the_test_is_found_in_wrapped_datasets():
    test = [dict(type='DecodeVideo', sampling=SAMPLE)]
    loader = dict(dataset=dict(type='ConcatDataset', datasets=[dict(pipeline=test)]))
    cfg = Config(dict(val_dataloader=dict(dataset=dict(pipeline=[])), test_dataloader=loader))
    assert find_pipeline(cfg) == test and find_pipeline(Config(dict(val_dataloader=loader))) == test
    with pytest.raises(ValueError, match='no pipeline in test_dataloader'):
        find_pipeline(Config(dict(train_dataloader=loader)))
    with pytest.raises(ValueError, match='no TokenizeCaptions'):
        build_tokenizer(test)

import json

import numpy as np
import pytest
from mmaction.registry import DATASETS

from mmclip4clip.datasets.video_readers import VideoReadError

from ..videos import decode_in_order


@pytest.fixture
def build(shapes, tmp_path):
    """Build a dataset of moving shapes, some of which are empty files."""

    def build(bad=2, good=4, cached=False, **kwargs):
        entries = json.loads((shapes / 'train.json').read_text())[:good]
        (tmp_path / 'v').mkdir(exist_ok=True)
        for number, entry in enumerate(entries):
            name = f'good{number}.mp4'
            (tmp_path / 'v' / name).write_bytes((shapes / 'videos' / entry['video']).read_bytes())
            entry['video'] = name
        for number in range(bad):
            (tmp_path / f'v/bad{number}.mp4').touch()
            entries.insert(0, dict(video=f'bad{number}.mp4', captions=[f'lost {number}', 'gone']))
        (tmp_path / 'ann.json').write_text(json.dumps(entries))
        pipeline = [
            dict(
                type='DecodeVideo', time_limit=None, sampling=dict(type='SampleAtRate', fps=2, max_frames=4)
            ),
            dict(type='FormatShape', input_format='NCHW'),
            dict(type='TokenizeCaptions', tokenizer=str(shapes / 'tokenizer'), max_words=24),
            dict(type='PackVideoCaptions'),
        ]
        if cached:
            pipeline[:2] = [dict(type='CacheFrames', folder=str(tmp_path / 'cache'), transforms=pipeline[:2])]
        return DATASETS.build(
            dict(
                dict(
                    type='VideoCaptionDataset',
                    ann_file='ann.json',
                    data_root=str(tmp_path),
                    data_prefix=dict(video='v'),
                    pipeline=pipeline,
                ),
                **kwargs,
            )
        )

    return build


def test_in_training_another_sample_takes_the_place_and_says_so(build):
    dataset = build(bad=2, caption_mode='random')
    for number in range(2):
        sample = dataset[number]['data_samples']
        assert sample.video_id.startswith('good')
        videos = [video for video, _ in sample.replaced]
        assert videos[0] == f'bad{1 - number}.mp4' and set(videos) <= {'bad0.mp4', 'bad1.mp4'}
        assert 'cannot be read; pyav: ' in sample.replaced[0][1]
    assert 'replaced' not in dataset[2]['data_samples']
    assert dataset.num_videos == 6


def test_the_seed_determines_what_takes_the_place(build):
    def draw(seed):
        dataset = build(bad=2, caption_mode='each')
        np.random.seed(seed)
        return [dataset[i]['data_samples'].video_id for i in (0, 1, 2, 3) * 3]

    assert draw(0) == draw(0)
    assert draw(0) != draw(1)
    assert len(set(draw(0))) > 2


def test_a_video_is_tried_once_by_a_process(build, tmp_path):
    dataset = build(bad=1)
    assert 'replaced' in dataset[0]['data_samples']
    (tmp_path / 'v/bad0.mp4').write_bytes((tmp_path / 'v/good0.mp4').read_bytes())
    assert dataset[0]['data_samples'].replaced  # counted all the same
    assert 'replaced' not in build(bad=0)[0]['data_samples']


def test_many_bad_videos_in_a_row_end_the_run(build):
    with pytest.raises(VideoReadError, match='20 videos in a row cannot be read; the last one: .*bad'):
        build(bad=3, good=0)[0]


def test_a_test_ends_by_default(build):
    with pytest.raises(VideoReadError, match='bad1.mp4 cannot be read'):
        build(test_mode=True)[0]
    with pytest.raises(VideoReadError, match='bad1.mp4 cannot be read'):
        build(bad_videos='error')[0]


def test_a_test_that_reports_keeps_the_item_with_the_frames_of_another(build, tmp_path):
    dataset = build(test_mode=True, bad_videos='report')
    data = dataset[0]
    sample = data['data_samples']
    assert sample.video_id == 'bad1.mp4' and sample.filename.endswith('v/bad1.mp4')
    assert sample.captions == ['lost 1', 'gone'] and len(data['inputs']['tokens']) == 2
    assert 'bad1.mp4 cannot be read' in sample.unreadable
    assert sample.get('start') is None and sample.get('end') is None
    frames = data['inputs']['imgs'].permute(0, 2, 3, 1).numpy()
    assert any(np.array_equal(frames, decode_in_order(tmp_path / f'v/good{i}.mp4')[::2]) for i in range(4))
    assert 'unreadable' not in dataset[2]['data_samples'] and len(dataset) == 6


@pytest.mark.parametrize(
    'arguments, message',
    [
        (dict(bad_videos='report'), r"one of \('error', 'replace'\) with test_mode=False, got 'report'"),
        (dict(bad_videos='replace', test_mode=True), r"one of \('error', 'report'\) .*got 'replace'"),
        (dict(bad_videos='replace', pipeline=[]), "bad_videos='replace' needs DecodeVideo in the pipeline"),
    ],
)
def test_policies_that_cannot_hold_are_refused(build, arguments, message):
    with pytest.raises(ValueError, match=message):
        build(**arguments)


def test_a_folder_in_place_of_a_video_is_bad_but_not_missing(build, tmp_path):
    (tmp_path / 'v/good0.mp4').mkdir(parents=True)
    (tmp_path / 'ann.json').write_text('{"good0.mp4": ["x"]}')
    with pytest.raises(IsADirectoryError):
        build(good=1)
    dataset_of = dict(
        type='VideoCaptionDataset', ann_file='ann.json', data_root=str(tmp_path), data_prefix=dict(video='v')
    )
    with pytest.raises(FileNotFoundError, match='1 of the 1 videos'):
        DATASETS.build(dict(dataset_of, pipeline=[], bad_videos='error'))
    pipeline = [dict(type='DecodeVideo', sampling=dict(type='SampleAtRate'), time_limit=None)]
    with pytest.raises(VideoReadError, match='pyav: IsADirectoryError'):
        DATASETS.build(dict(dataset_of, pipeline=pipeline))[0]


def test_a_cache_around_the_decoder_changes_no_policy(build, tmp_path):
    dataset = build(bad=1, cached=True, storage_wait=0)
    assert dataset.bad_videos == 'replace'
    (tmp_path / 'v/bad0.mp4').unlink()  # gone after the check at the start
    for _ in range(2):
        ((video, reason),) = dataset[0]['data_samples'].unavailable
        assert video == 'bad0.mp4' and 'bad0.mp4 cannot be read; No such file' in reason
    assert not dataset.known_bad
    (tmp_path / 'v/bad0.mp4').touch()
    reported = build(bad=1, cached=True, test_mode=True, bad_videos='report')
    assert 'bad0.mp4 cannot be read; pyav: ' in reported[0]['data_samples'].unreadable

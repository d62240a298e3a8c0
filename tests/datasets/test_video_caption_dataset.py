import json

import numpy as np
import pytest
from mmaction.registry import DATASETS


@pytest.fixture
def build(tmp_path):
    """Build a dataset of two videos with two and one captions, without decoding anything."""
    (tmp_path / 'videos').mkdir()
    for name in ('a.mp4', 'b.c.mp4'):
        (tmp_path / 'videos' / name).touch()

    def build(annotations=None, **kwargs):
        annotations = annotations or {'a.mp4': ['one', 'two'], 'b.c.mp4': ['three']}
        (tmp_path / 'ann.json').write_text(json.dumps(annotations))
        return DATASETS.build(
            dict(
                dict(
                    type='VideoCaptionDataset',
                    ann_file='ann.json',
                    data_root=str(tmp_path),
                    data_prefix=dict(video='videos'),
                    pipeline=[],
                ),
                **kwargs,
            )
        )

    return build


def captions(dataset):
    return [dataset[i]['captions'] for i in range(len(dataset))]


def test_each_caption_is_an_item(build):
    dataset = build(caption_mode='each')
    assert captions(dataset) == [['one'], ['two'], ['three']]
    assert [dataset[i]['video_id'] for i in range(3)] == ['a.mp4', 'a.mp4', 'b.c.mp4']


def test_a_name_without_ending_is_an_mp4_as_for_mmaction2(build):
    assert build({'a': ['one']})[0]['filename'].endswith('videos/a.mp4')


LSMDC = '1004_American_Beauty_00.01.02.123-00.01.05.456'


@pytest.mark.parametrize(
    'annotations', [{LSMDC: ['one']}, [dict(video=LSMDC, captions=['one'], start=0, end=2)]]
)
def test_a_dotted_name_without_ending_is_an_mp4_too(build, tmp_path, annotations):
    (tmp_path / f'videos/{LSMDC}.mp4').touch()
    item = build(annotations, pipeline=[dict(type='TimeWindow')]).get_data_info(0)
    assert item['filename'].endswith(f'videos/{LSMDC}.mp4')
    assert item['video_id'].removesuffix('@0-2') == f'{LSMDC}.mp4'


def test_a_file_without_an_ending_is_read_as_named_but_by_decord_init(build, tmp_path):
    for name in ('video0', 'video0.mp4', 'clip.final'):
        (tmp_path / 'videos' / name).touch()

    def found(name, *pipeline):
        return build({name: ['x']}, pipeline=pipeline).get_data_info(0)['filename']

    assert found('video0').endswith('videos/video0')
    assert found('video0', dict(type='DecordInit')).endswith('videos/video0.mp4')
    assert found('clip.final', dict(type='DecordInit')).endswith('videos/clip.final')


@pytest.mark.parametrize('name', ['1004_Film_00.01.02.123-00.01.05.456', 'video0', 'a.b.mp4'])
def test_decord_init_reads_the_file_that_the_dataset_has_found(build, tmp_path, shapes, name):
    video = next((shapes / 'videos').rglob('*.mp4')).read_bytes()
    (tmp_path / 'videos' / f'{name.removesuffix(".mp4")}.mp4').write_bytes(video)
    item = build({name: ['x']}, pipeline=[dict(type='DecordInit')])[0]
    assert item['total_frames'] > 1


def test_names_lie_in_the_folder_of_the_videos_if_one_is_given(build, tmp_path):
    name = str(tmp_path / 'videos/a.mp4')
    with pytest.raises(ValueError, match='ann.json, entry 0: video is absolute, but must lie in the folder'):
        build({name: ['x']})
    plain = build(
        {name: ['x']}, data_root='', data_prefix=dict(video=''), ann_file=str(tmp_path / 'ann.json')
    )
    assert plain.get_data_info(0)['filename'] == plain.get_data_info(0)['video_id'] == name
    with pytest.raises(ValueError, match=r'ann.json, entry 0: video has \.\.'):
        build({'../videos/a.mp4': ['x']})


def test_a_paragraph_without_bound_does_not_reach_the_tokenizer(build):
    long = {'a.mp4': ['w' * 60_000, 'v' * 60_000]}
    assert len(build(long, caption_mode='all')) == 1
    with pytest.raises(ValueError, match=r'ann_file .*ann.json \(a.mp4\): its 2 captions, .* 120,001 char'):
        build(long, caption_mode='paragraph')


def test_one_window_written_in_two_ways_is_one_video_and_keeps_its_ids(build):
    windows = [
        dict(video='a.mp4', captions=['x'], start=1, end=2),
        dict(video='a.mp4', captions=['y'], start=1.0, end=2),
        dict(video='a', captions=['z'], start=1, end=2.0),
        dict(video='a.mp4', captions=['v'], start=1, end=3),
    ]
    dataset = build(windows, pipeline=[dict(type='TimeWindow')])
    assert dataset.num_videos == 2
    ids = [dataset.get_data_info(i)['video_id'] for i in range(3)]
    assert ids == ['a.mp4@1-2', 'a.mp4@1.0-2', 'a.mp4@1-2.0']
    with pytest.raises(ValueError, match='names 1 videos more than once, the first is a.mp4@1-2.0'):
        build(windows, pipeline=[dict(type='TimeWindow')], test_mode=True)


def test_counting_the_videos_draws_no_random_numbers(build):
    dataset = build(caption_mode='random')
    np.random.seed(0)
    expected = np.random.randint(1000)
    np.random.seed(0)
    assert dataset.num_videos == 2 and np.random.randint(1000) == expected


def test_random_draws_among_all_captions_of_a_video(build):
    dataset = build(caption_mode='random')
    np.random.seed(0)
    assert len(dataset) == 2
    assert {dataset[0]['captions'][0] for _ in range(20)} == {'one', 'two'}
    assert dataset[1]['captions'] == ['three']


def test_paragraph_joins_and_all_keeps(build):
    assert captions(build(caption_mode='paragraph')) == [['one two'], ['three']]
    assert captions(build(caption_mode='all')) == [['one', 'two'], ['three']]


def test_default_is_each_for_training_and_all_for_the_test(build):
    assert build().caption_mode == 'each'
    assert build(test_mode=True).caption_mode == 'all'


def test_wrong_caption_modes_are_refused(build):
    with pytest.raises(ValueError, match="caption_mode must be one of .* got 'every'"):
        build(caption_mode='every')
    with pytest.raises(ValueError, match="test_mode=True .* got 'each'"):
        build(caption_mode='each', test_mode=True)


def test_all_missing_videos_are_reported_at_once(build):
    annotations = {f'{i:02}.mp4': ['x'] for i in range(12)}
    with pytest.raises(
        FileNotFoundError, match='(?s)12 of the 12 videos .*ann.json.*00.mp4.*09.mp4.*\\.\\.\\.'
    ):
        build(annotations)
    with pytest.raises(FileNotFoundError, match='(?s)1 of the 2 videos .*none.mp4'):
        build({'a.mp4': ['x'], 'none.mp4': ['y']})


def test_data_prefix_needs_the_key_video(build):
    with pytest.raises(ValueError, match=r"data_prefix must have the key 'video', got \['img'\]"):
        build(data_prefix=dict(img='videos'))


def test_windows_need_the_transform_that_honors_them(build):
    windows = [
        dict(video='a.mp4', captions=['x'], start=0, end=2),
        dict(video='a.mp4', captions=['y'], start=2, end=4),
    ]
    with pytest.raises(ValueError, match="2 entries .* would ignore: add dict.type='TimeWindow'"):
        build(windows)
    dataset = build(
        windows, pipeline=[dict(type='TimeWindow')], test_mode=True, lazy_init=False, serialize_data=False
    )
    assert [item['video_id'] for item in dataset.data_list] == ['a.mp4@0-2', 'a.mp4@2-4']


@pytest.mark.parametrize(
    'wrapped',
    [dict(type='TimeWindow'), dict(type='DecodeVideo', time_limit=None, sampling=dict(type='SampleEvenly'))],
)
def test_windows_are_honored_inside_a_cache_too(build, tmp_path, wrapped):
    cache = dict(type='CacheFrames', folder=str(tmp_path / 'cache'), transforms=[wrapped])
    dataset = build([dict(video='a.mp4', captions=['x'], start=0, end=2)], pipeline=[cache])
    assert dataset.get_data_info(0)['video_id'] == 'a.mp4@0-2'


def test_a_video_twice_in_a_test_is_refused(build):
    twice = [dict(video='a.mp4', captions=['x']), dict(video='a.mp4', captions=['y'])]
    assert len(build(twice)) == 2
    with pytest.raises(ValueError, match='names 1 videos more than once, the first is a.mp4:'):
        build(twice, test_mode=True)

import pickle

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from mmclip4clip.datasets.feature_files import (
    FeatureFolder,
    FeatureMismatchError,
    locked_folder,
    prepare_folder,
    read_settings,
    shard_path,
    write_shard,
)

from .feature_folders import random_videos, settings, write_folder


def test_what_is_written_is_read_again_video_by_video(tmp_path):
    videos = random_videos()
    folder = FeatureFolder(write_folder(tmp_path / 'test', videos))
    assert [info['captions'] for info in folder.infos] == [video.info['captions'] for video in videos]
    for copy in (folder, pickle.loads(pickle.dumps(folder))):  # as a worker gets it
        for number, video in enumerate(videos):
            shard, place = copy.shard_of(number)
            assert torch.equal(shard.frames(place), video.frames)
            assert torch.equal(shard.text(place), video.text)
            tokens, mask = shard.tokens(place)
            assert mask.sum(dim=1).tolist() == [len(row) for row in video.tokens]
            for row, found, real in zip(video.tokens, tokens, mask.bool()):
                assert torch.equal(found[real], row) and not found[~real].any()


def test_any_reader_of_safetensors_finds_the_frames_of_a_video_by_the_counts(tmp_path):
    videos = random_videos()
    write_folder(tmp_path / 'test', videos)
    first = load_file(shard_path(tmp_path / 'test', 0))
    begin = int(first['frame_counts'][0])
    assert torch.equal(first['frames'][begin:], videos[1].frames)
    assert first['caption_counts'].tolist() == [2, 1]


def test_half_precision_takes_half_the_room_and_rounds_once(tmp_path):
    videos = random_videos(lengths=(400, 200, 300))
    whole, half = (write_folder(tmp_path / name, videos, name == 'half') for name in ('whole', 'half'))
    shard = FeatureFolder(half).shards[0]
    assert torch.equal(shard.frames(1), videos[1].frames.half())
    sizes = [shard_path(folder, 0).stat().st_size for folder in (whole, half)]
    assert sizes[1] < 0.6 * sizes[0]


def test_an_extraction_begins_goes_on_and_ends(tmp_path):
    folder = tmp_path / 'features' / 'test'
    assert prepare_folder(folder, settings()) == [0, 1] and read_settings(folder) == settings()
    write_shard(shard_path(folder, 0), random_videos()[:2])
    assert prepare_folder(folder, settings(checkpoint='other/place.pth')) == [1]
    with pytest.raises(ValueError, match='not complete: 1 of 2 shards are missing, the first is shard-00001'):
        FeatureFolder(folder)


def test_damaged_shards_are_written_again(tmp_path):
    folder = write_folder(tmp_path / 'test', random_videos())
    assert prepare_folder(folder, settings()) == []
    whole = shard_path(folder, 0).read_bytes()
    shard_path(folder, 0).write_bytes(whole[: len(whole) // 2])
    assert prepare_folder(folder, settings()) == [0]
    shard_path(folder, 0).write_bytes(shard_path(folder, 1).read_bytes())
    assert prepare_folder(folder, settings()) == [0]
    with pytest.raises(ValueError, match=r'shard-00000.* has 1 videos, but 2 by features.json'):
        FeatureFolder(folder)


def test_shards_of_unequal_sizes_are_refused_although_their_sum_is_right(tmp_path):
    videos, folder = random_videos(), tmp_path / 'test'
    write_folder(folder, videos)
    write_shard(shard_path(folder, 0), videos[:1])
    write_shard(shard_path(folder, 1), videos[1:])
    with pytest.raises(ValueError, match='has 1 videos, but 2'):
        FeatureFolder(folder)


def test_rows_that_are_not_counted_are_refused(tmp_path):
    folder = write_folder(tmp_path, random_videos())
    tensors = load_file(shard_path(folder, 1))
    with safe_open(shard_path(folder, 1), 'pt') as file:
        metadata = file.metadata()
    save_file(dict(tensors, frames=tensors['frames'][:2].clone()), shard_path(folder, 1), metadata)
    with pytest.raises(ValueError, match='its frames are not as many as it counts'):
        FeatureFolder(folder)
    del tensors['text']
    save_file(tensors, shard_path(folder, 1), metadata)
    with pytest.raises(ValueError, match='shard-00001.safetensors lacks text'):
        FeatureFolder(folder)


def test_two_extractions_do_not_write_into_one_folder(tmp_path):
    folder = tmp_path / 'features' / 'test'
    with locked_folder(folder):
        said = pytest.raises(RuntimeError, match='another extraction writes into .*test: this process')
        with said, locked_folder(folder):
            pass
        with locked_folder(folder.with_name('train')):
            assert prepare_folder(folder, settings()) == [0, 1]
    with locked_folder(folder):  # the lock was released
        assert prepare_folder(folder, settings()) == [0, 1]


def test_what_a_killed_run_left_is_no_other_file(tmp_path):
    (tmp_path / 'features.json.unfinished').touch()
    assert prepare_folder(tmp_path, settings()) == [0, 1]
    assert [path.name for path in tmp_path.iterdir()] == ['features.json']


def test_other_settings_are_refused_by_name(tmp_path):
    prepare_folder(tmp_path / 'test', settings())
    sampling = dict(sampling=[dict(type='SampleEvenly', num_frames=4)], max_words=32)
    other = settings(dtype='float16', preprocessing=sampling)
    with pytest.raises(FeatureMismatchError) as caught:
        prepare_folder(tmp_path / 'test', other)
    assert "dtype: 'float32' -> 'float16'" in str(caught.value)
    assert 'preprocessing.max_words: 24 -> 32' in str(caught.value)
    assert 'sampling' not in str(caught.value)


def test_a_folder_with_other_files_is_left_alone(tmp_path):
    (tmp_path / 'notes.txt').write_text('mine')
    with pytest.raises(FileExistsError, match=r'other files, such as notes\.txt'):
        prepare_folder(tmp_path, settings())
    assert [path.name for path in tmp_path.iterdir()] == ['notes.txt']


@pytest.mark.parametrize('content', [b'', b'text', b'\x08\0\0\0\0\0\0\0{}      '])
def test_a_damaged_shard_is_named(tmp_path, content):
    folder = write_folder(tmp_path, random_videos())
    shard_path(folder, 1).write_bytes(content)
    with pytest.raises(ValueError, match='shard-00001.safetensors is no shard of features, or damaged'):
        FeatureFolder(folder)


@pytest.mark.parametrize(
    'content', ['', '[]', '{"format": 99}', '{"format": 1, "split": "test"}', '[' * 100000]
)
def test_damaged_settings_are_named(tmp_path, content):
    (tmp_path / 'features.json').write_text(content)
    with pytest.raises(ValueError, match='features.json is no settings of features, or damaged'):
        read_settings(tmp_path)


def test_without_features_the_command_is_said(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'(?s)none: the folder does not exist.*extract_features.py'):
        FeatureFolder(tmp_path / 'none')


def test_a_missing_part_is_said_with_the_option(tmp_path):
    videos = [video._replace(tokens=None) for video in random_videos()]
    folder = FeatureFolder(write_folder(tmp_path, videos, parts=['frames', 'text']))
    folder.need('frames', 'text')
    with pytest.raises(ValueError, match='has frames, text, but no tokens: .* --parts frames text tokens'):
        folder.need('frames', 'tokens')

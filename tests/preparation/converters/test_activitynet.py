import json

import pytest

from mmclip4clip.preparation.converters import convert
from mmclip4clip.preparation.converters.activitynet import read, splits


def write(path, content):
    path.write_text(json.dumps(content))
    return path


def test_a_video_has_all_its_sentences_from_0_to_the_duration_rounded_up(tmp_path):
    path = write(
        tmp_path / 'val_1.json',
        {
            'v_a': dict(duration=55.15, timestamps=[[0.28, 55.15], [0, 4]], sentences=['One.', '  Two.']),
            'v_b': dict(duration=60.0, timestamps=[[0, 60]], sentences=['Three.']),
        },
    )
    assert read(path).entries == [
        dict(video='v_a', captions=['One.', 'Two.'], start=0, end=56),
        dict(video='v_b', captions=['Three.'], start=0, end=60),
    ]


@pytest.mark.parametrize(
    'content',
    [
        [1],
        {'v_a': {}},
        {'v_a': dict(sentences=['x'])},
        {'v_a': dict(duration='long', sentences=['x'])},
        {'v_a': dict(duration=float('nan'), sentences=['x'])},
        {'v_a': dict(duration=True, sentences=['x'])},
        {'v_a': dict(duration=9, sentences='letters')},
        {'v_a': dict(duration=10**400, sentences=['x'])},
        {'v_a': dict(duration=9, sentences={'x': 1})},
    ],
)
def test_another_file_is_refused(tmp_path, content):
    with pytest.raises(ValueError, match=r'a.json is not of the form \{video: \{"duration"'):
        read(write(tmp_path / 'a.json', content))


def test_the_video_at_fault_is_named(tmp_path):
    content = {'v_a': dict(duration=9, sentences=['x']), 'v_b': dict(duration=9, sentences='letters')}
    with pytest.raises(ValueError, match="a.json is not .* at 'v_b' TypeError.*expected list, got 'letters'"):
        read(write(tmp_path / 'a.json', content))


def test_files_are_found_with_and_without_the_prefix(tmp_path):
    write(tmp_path / 'train.json', {name: dict(duration=1, sentences=['x']) for name in ('v_a', 'v_-b')})
    for name in ('v_a.mp4', '-b.mkv'):
        (tmp_path / name).touch()
    train, _ = convert(splits(tmp_path), tmp_path / 'out', tmp_path)
    assert [e['video'] for e in train.entries] == ['v_a.mp4', '-b.mkv']


def test_the_official_file_has_the_published_count(data, tmp_path):
    official = data / 'annotations/activitynet'
    train, val = convert(splits(official), tmp_path, tmp_path, ending='.mp4', strict=True)
    assert train.absent and len(val.entries) == 4917
    source = json.loads((official / 'val_1.json').read_text())
    assert sum(len(e['captions']) for e in val.entries) == sum(len(e['sentences']) for e in source.values())
    assert all(0 <= e['end'] - source[e['video'][:-4]]['duration'] < 1 for e in val.entries)


def test_the_real_clip_is_found(data, tmp_path):
    _, val = convert(splits(data / 'annotations/activitynet'), tmp_path, data / 'clips/activitynet')
    assert [e['video'] for e in val.entries] == ['v_GGSY1Qvo990.mp4'] and len(val.missing) == 4916

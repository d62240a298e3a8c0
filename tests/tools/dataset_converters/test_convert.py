import json
import re
import shutil
from pathlib import Path

import pytest
from mmaction.registry import DATASETS
from mmengine.config import Config

from mmclip4clip.preparation.converters import CONVERTERS

from ..conftest import ROOT

CONVERT = 'dataset_converters/convert.py'


@pytest.fixture
def table(tmp_path):
    (tmp_path / 'clips').mkdir()
    (tmp_path / 'clips/a.mp4').touch()
    path = tmp_path / 'train.csv'
    path.write_text('video,caption\na,a dog\nb,a cat\n')
    return path


def test_counts_missing_videos_and_where_configs_look_are_printed(tool, table, tmp_path, capsys):
    tool(CONVERT, 'csv', 'train.csv', '--out', 'data/mine', '--videos', 'clips')
    said = capsys.readouterr().out
    assert '2 / 2' in said and 'WARNING: train: 1 of 2 videos were not found, such as b' in said
    assert f'ln -s {tmp_path}/clips data/mine/videos' in said
    assert json.loads((tmp_path / 'data/mine/train.json').read_text()) == {'a.mp4': ['a dog']}
    assert (tmp_path / 'data/mine/train_missing.txt').read_text() == 'b\n'


def test_videos_are_sought_in_the_output_folder_by_default(tool, table, tmp_path, capsys):
    shutil.copytree(tmp_path / 'clips', tmp_path / 'data/mine/videos')
    tool(CONVERT, 'csv', 'train.csv', '--out', 'data/mine')
    assert 'ln -s' not in capsys.readouterr().out and (tmp_path / 'data/mine/train.json').exists()


def test_a_second_run_needs_force(tool, table, tmp_path):
    command = (CONVERT, 'csv', 'train.csv', '--out', 'out', '--assume-ending', '.avi')
    tool(*command)
    with pytest.raises(
        SystemExit, match='csv: these files exist already; --force replaces .*\n  out/train.json'
    ):
        tool(*command)
    tool(*command, '--force')
    assert json.loads((tmp_path / 'out/train.json').read_text()) == {'a.avi': ['a dog'], 'b.avi': ['a cat']}


@pytest.mark.parametrize(
    'arguments, message',
    [
        (('msvd', '.'), 'msvd: none of the official files exists:\n  raw-captions.pkl'),
        (('csv', 'train.csv', '--out', 'out'), 'csv: the folder of the videos, out/videos, does not exist'),
        (
            ('csv', 'train.csv', '--out', 'out', '--videos', 'clips', '--strict'),
            'nothing was written, because of --strict',
        ),
    ],
)
def test_errors_are_messages_without_a_traceback(tool, table, tmp_path, arguments, message):
    with pytest.raises(SystemExit, match=message):
        tool(CONVERT, *arguments)
    assert not (tmp_path / 'out').exists()


def test_a_folder_of_videos_with_texts(tool, table, tmp_path):
    (tmp_path / 'clips/a.txt').write_text('a dog\n')
    tool(CONVERT, 'folder', 'clips', '--out', 'out', '--name', 'test')
    assert json.loads((tmp_path / 'out/test.json').read_text()) == {'a.mp4': ['a dog']}


@pytest.mark.parametrize('option, warns', [('--neighbors', False), ('--neighbours', True)])
def test_both_spellings_of_neighbors_are_accepted(tool, tmp_path, capsys, option, warns):
    narrations = {'v': {'start': [0, 2], 'end': [1, 3], 'text': ['one', 'two']}}
    (tmp_path / 'c.json').write_text(json.dumps(narrations))
    tool(CONVERT, 'howto100m', 'c.json', '--assume-ending', '.mp4', option, '1')
    entries = json.loads((tmp_path / 'data/video_retrieval/howto100m/train.json').read_text())
    assert [entry['captions'] for entry in entries] == [['one', 'two'], ['two', 'one']]
    assert ('--neighbours is now called --neighbors' in capsys.readouterr().err) == warns


def test_didemo_and_howto100m_have_their_own_options(tool, tmp_path):
    items = [dict(video=name, description='x', times=[[0, 0]]) for name in ('a.mov', 'a.mp4')]
    (tmp_path / 'val_data.json').write_text(json.dumps(items))
    (tmp_path / 'val_list.txt').write_text('a.mp4\n')
    tool(CONVERT, 'didemo', '.', '--assume-ending', '.mp4', '--listed')
    (entry,) = json.loads((tmp_path / 'data/video_retrieval/didemo/val.json').read_text())
    assert entry == dict(video='a.mp4', captions=['x'], start=0, end=31)
    (tmp_path / 'c.json').write_text(json.dumps({v: dict(start=[0], end=[1], text=['x']) for v in 'ab'}))
    (tmp_path / 'ids.txt').write_text('b\n')
    tool(CONVERT, 'howto100m', 'c.json', '--ids', 'ids.txt', '--assume-ending', '.mp4')
    (entry,) = json.loads((tmp_path / 'data/video_retrieval/howto100m/train.json').read_text())
    assert entry == dict(video='b.mp4', captions=['x'], start=0, end=1)


@pytest.mark.parametrize('dataset', CONVERTERS)
def test_the_help_of_each_dataset_names_its_files(tool, dataset, capsys):
    with pytest.raises(SystemExit):
        tool(CONVERT, dataset, '--help')
    said = capsys.readouterr().out
    assert CONVERTERS[dataset].__doc__.splitlines()[0] in said and '--force' in said


@pytest.mark.parametrize(
    'name, videos, captions, frames',
    [
        ('msvd', 2, range(20, 81), 12),  # two of the clips are of the test split
        ('activitynet', 1, [1], 64),
    ],
)  # a paragraph
def test_what_is_converted_from_real_files_is_what_the_config_reads(
    tool, data, shapes, tmp_path, name, videos, captions, frames
):
    tool(CONVERT, name, data / 'annotations' / name, '--videos', data / 'clips' / name)
    (tmp_path / 'data/video_retrieval' / name / 'videos').symlink_to(data / 'clips' / name)
    (config,) = (ROOT / 'configs/retrieval/clip4clip').glob(f'clip4clip_*_{name}-rgb.py')
    dataset = Config.fromfile(config).test_dataloader.dataset
    dataset.pipeline[-2].tokenizer = str(shapes / 'tokenizer')
    dataset = DATASETS.build(dataset)
    assert len(dataset) == videos
    item = dataset[0]
    images, sample = item['inputs']['imgs'], item['data_samples']
    assert images.shape[1:] == (3, 224, 224) and 1 <= len(images) <= frames
    assert len(sample.captions) in captions


def test_a_converted_clip_with_dots_in_its_name_is_decoded(tool, shapes, pipeline, tmp_path):
    clip = '0001_American_Beauty_00.00.51.926-00.00.54.129'
    video = tmp_path / 'data/video_retrieval/lsmdc/videos/0001_American_Beauty' / f'{clip}.mp4'
    video.parent.mkdir(parents=True)
    shutil.copy(next((shapes / 'videos/test').iterdir()), video)
    (tmp_path / 'LSMDC16_challenge_1000_publictect.csv').write_text(f'{clip}\t0\t1\t0\t1\tSOMEONE nods.\n')
    tool(CONVERT, 'lsmdc', '.')
    dataset = DATASETS.build(
        dict(
            type='VideoCaptionDataset',
            ann_file='test.json',
            data_root='data/video_retrieval/lsmdc',
            data_prefix=dict(video='videos'),
            test_mode=True,
            pipeline=pipeline,
        )
    )
    assert dataset[0]['data_samples'].captions == ['SOMEONE nods.'] and len(dataset[0]['inputs']['imgs']) == 4


@pytest.mark.parametrize('dataset', CONVERTERS)
def test_the_readme_has_every_dataset_with_its_files_and_counts(dataset):
    readme = (ROOT / 'tools/dataset_converters/README.md').read_text()
    (row,) = (line for line in readme.splitlines() if line.startswith('| ') and f'| `{dataset}' in line)
    if dataset not in ('csv', 'folder', 'howto100m'):
        for split in CONVERTERS[dataset](Path('')):
            assert f'`{split.name}.json`' in row
            assert all(f'`{source}`' in row for source in split.sources)
            counts = ' / '.join('?' if n is None else f'{n:,}' for n in (split.videos, split.captions))
            if 'moments' not in split.name:  # as the paragraphs
                assert re.search(rf'`{split.name}.json`( \(1k-A\))? {re.escape(counts)}', row)

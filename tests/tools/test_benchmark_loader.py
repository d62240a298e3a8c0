import json
import sys
from importlib import metadata

import pytest

from mmclip4clip.datasets.video_readers import installed_backends

from ..videos import at_rate, write_frames
from .conftest import ROOT


@pytest.fixture(autouse=True)
def _beside(monkeypatch):
    """Let the tool find the file beside it, as in a process of its own."""
    monkeypatch.syspath_prepend(str(ROOT / 'tools/analysis_tools'))


def test_output_is_compared_and_both_are_timed(tool, tmp_path, capsys):
    (tmp_path / 'clips').mkdir()
    write_frames(tmp_path / 'clips/a.mp4', at_rate(30, 40))
    write_frames(tmp_path / 'clips/b.mp4', at_rate(30, 60)).rename(tmp_path / 'clips/b.MP4')
    write_frames(tmp_path / 'clips/wrong.avi', at_rate(30, 90), b_frames=0)  # where decord cannot seek
    (tmp_path / 'clips/empty.mp4').touch()
    tool(
        'analysis_tools/benchmark_loader.py',
        'clips',
        '--workers',
        1,
        '--rounds',
        1,
        '--repeat',
        1,
        '--frames',
        12,
        '--backends',
        'pyav',
        '--backends',
        'decord',
        'opencv',
        '--json',
    )
    *_, left_out, figures = capsys.readouterr().out.strip().splitlines()
    assert left_out.startswith('skipped: clips/empty.mp4')
    figures = json.loads(figures)['12']
    assert list(figures) == ['stock', 'pyav', 'decord opencv', 'cached']
    assert [f['same_output'] for f in figures.values()] == [3, 2, 2, 2]
    assert all(
        f['clips'] == 3 and f['clips_per_second'] > 0 and f['cpu_ms_per_clip'] >= 0 for f in figures.values()
    )
    assert figures['stock']['times_the_speed'] == 1

    tool(
        'analysis_tools/benchmark_loader.py',
        'clips',
        '--workers',
        1,
        '--rounds',
        1,
        '--repeat',
        1,
        '--frames',
        4,
        '--backends',
        'pyav',
        '--equal-only',
        '--json',
    )
    figures = json.loads(capsys.readouterr().out.strip().splitlines()[-1])['4']
    assert {name: (f['clips'], f['same_output']) for name, f in figures.items()} == dict.fromkeys(
        ['stock', 'pyav', 'cached'], (2, 2)
    )


def test_all_installed_backends_are_timed_and_without_decord_pyav_is_the_measure(
    tool, tmp_path, capsys, monkeypatch
):
    (tmp_path / 'clips').mkdir()
    write_frames(tmp_path / 'clips/a.mp4', at_rate(30, 40))
    monkeypatch.setitem(sys.modules, 'decord', None)
    tool(
        'analysis_tools/benchmark_loader.py',
        'clips',
        *('--workers', 1, '--rounds', 1, '--repeat', 1, '--frames', 4),
    )
    said = capsys.readouterr().out
    assert f'av {metadata.version("av")}' in said and f'torch {metadata.version("torch")}' in said
    rows = [line.split('│')[1:-1] for line in said.splitlines() if 'of 1' in line]
    expected = [name for name in installed_backends() if name != 'decord']
    assert [row[0].strip() for row in rows] == [*expected, 'cached'] and expected[0] == 'pyav'
    assert rows[0][2].strip() == '1.00' and {row[-1].strip() for row in rows} == {'1 of 1'}


def test_a_folder_without_a_video_to_time_is_named(tool, tmp_path, capsys):
    (tmp_path / 'clips').mkdir()
    with pytest.raises(SystemExit):
        tool('analysis_tools/benchmark_loader.py', 'nowhere')
    assert 'nowhere is not a folder' in capsys.readouterr().err
    with pytest.raises(SystemExit, match='there are no videos in clips'):
        tool('analysis_tools/benchmark_loader.py', 'clips')
    (tmp_path / 'clips/empty.mp4').touch()
    with pytest.raises(SystemExit, match='the stock pipeline reads none of the videos in clips'):
        tool('analysis_tools/benchmark_loader.py', 'clips', '--frames', 4, '--backends', 'pyav')

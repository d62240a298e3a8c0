import json

import pytest


def test_mean_and_standard_deviation_of_the_last_tests(tool, tmp_path, capsys):
    for name, value in (('a', 10.0), ('b', 20.0)):
        (tmp_path / f'{name}.json').write_text(
            json.dumps(
                [
                    {'stage': 'test', 'retrieval/R1': 99.0},
                    {'stage': 'test', 'retrieval/R1': value},
                    {'stage': 'val', 'retrieval/R1': 0.0},
                ]
            )
        )
    tool('analysis_tools/summarize_runs.py', 'mean=a.json,b.json', 'one=a.json')
    out = capsys.readouterr().out
    assert '15.0 ± 7.1' in out and '10.0 ± 0.0' in out


def test_the_former_name_of_the_script_runs_it_with_a_warning(tool, tmp_path, capsys):
    (tmp_path / 'a.json').write_text(json.dumps([{'stage': 'test', 'retrieval/R1': 12.5}]))
    tool('analysis_tools/summarise_runs.py', 'mean=a.json')
    captured = capsys.readouterr()
    assert '12.5 ± 0.0' in captured.out
    assert 'summarise_runs.py is now called summarize_runs.py' in captured.err


def test_captions_have_columns_where_there_are_any(tool, tmp_path, capsys):
    entry = {
        'stage': 'test',
        'retrieval/R1': 1.0,
        'caption/CIDEr': 50.2,
        'caption/METEOR': 30.0,
        'shapes/motion': 9.0,
        'shapes/all_right': 7.0,
    }
    (tmp_path / 'joint.json').write_text(json.dumps([entry]))
    (tmp_path / 'plain.json').write_text(json.dumps([{'stage': 'test', 'retrieval/R1': 2.0}]))
    tool('analysis_tools/summarize_runs.py', 'joint=joint.json', 'plain=plain.json')
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [w for w in lines[1] if w.isascii()] == ['runs', 'R1', 'CIDEr', 'METEOR', 'motion', 'all_right']
    assert '50.2' in lines[3] and '7.0' in lines[3] and lines[4].count('0.0') == 1
    tool('analysis_tools/summarize_runs.py', 'plain=plain.json')
    assert 'CIDEr' not in capsys.readouterr().out


def test_a_run_without_a_test_is_named(tool, tmp_path):
    (tmp_path / 'a.json').write_text('[{"stage": "val"}]')
    (tmp_path / 'captions.json').write_text('[{"generated": "a man"}]')
    for name in ('a', 'captions'):
        with pytest.raises(SystemExit, match=f'{name}.json has no entry'):
            tool('analysis_tools/summarize_runs.py', f'x={name}.json')


@pytest.mark.parametrize(
    'content, message',
    [
        ('[' * 100_000, 'nested too deeply'),
        ('{"a": 1}', 'has no entry'),
        ('[[1], null]', 'has no entry'),
        ('[{"stage": "test"', 'is not a metrics.json of a work dir: .*cannot be read as JSON'),
        *(
            (
                f'[{{"stage": "test", "retrieval/R1": {value}}}]',
                'retrieval/R1 of the last test must be a finite',
            )
            for value in ('1e999', 'NaN', '"9"', 'true', '[1]', '7' * 400)
        ),
    ],
    ids=lambda text: text[:40],
)
def test_a_damaged_file_is_named(tool, tmp_path, content, message):
    (tmp_path / 'a.json').write_text(content)
    with pytest.raises(SystemExit, match=f'a.json.*{message}'):
        tool('analysis_tools/summarize_runs.py', 'x=a.json')


def test_a_file_that_is_not_there_is_named(tool, tmp_path):
    with pytest.raises(SystemExit, match='a.json is not a metrics.json of a work dir: .*No such file'):
        tool('analysis_tools/summarize_runs.py', 'x=a.json')


@pytest.mark.parametrize('run', ['a.json', 'x='])
def test_a_row_without_files_is_named(tool, capsys, run):
    with pytest.raises(SystemExit):
        tool('analysis_tools/summarize_runs.py', run)
    assert f'expected NAME=metrics.json,metrics.json,... for each row, got {run!r}' in capsys.readouterr().err


def test_a_mean_of_some_of_the_runs_is_refused(tool, tmp_path):
    for name, more in (('a', {'caption/METEOR': 30.0}), ('b', {})):
        (tmp_path / f'{name}.json').write_text(json.dumps([{'stage': 'test', 'retrieval/R1': 1.0, **more}]))
    with pytest.raises(SystemExit, match='joint: 1 of its 2 runs have no caption/METEOR'):
        tool('analysis_tools/summarize_runs.py', 'joint=a.json,b.json')

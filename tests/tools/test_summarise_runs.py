import json

import pytest


def test_mean_and_standard_deviation_of_the_last_tests(tool, tmp_path, capsys):
    for name, value in (('a', 10.), ('b', 20.)):
        (tmp_path / f'{name}.json').write_text(json.dumps(
            [{'stage': 'test', 'retrieval/R1': 99.}, {'stage': 'test', 'retrieval/R1': value},
             {'stage': 'val', 'retrieval/R1': 0.}]))
    tool('analysis_tools/summarise_runs.py', 'mean=a.json,b.json', 'one=a.json')
    out = capsys.readouterr().out
    assert '15.0 ± 7.1' in out and '10.0 ± 0.0' in out


def test_a_run_without_a_test_is_named(tool, tmp_path):
    (tmp_path / 'a.json').write_text('[{"stage": "val"}]')
    with pytest.raises(SystemExit, match='a.json has no entry'):
        tool('analysis_tools/summarise_runs.py', 'x=a.json')

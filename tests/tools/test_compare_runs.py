import json

import pytest

TOOL = 'analysis_tools/compare_runs.py'


@pytest.fixture
def run(tmp_path):
    """A work dir with two validations, and a test in a folder of its own."""

    def run(name, *recalls):
        folder = tmp_path / name
        (folder / '1/vis_data').mkdir(parents=True)
        lines = [json.dumps(dict(loss=10.0 / step, iter=step)) for step in (1, 2, 4)]
        (folder / '1/vis_data/scalars.json').write_text('\n'.join(lines))
        entries = [
            {'stage': 'val', 'iter': 2 + 2 * number, 'retrieval/R1': value, 'retrieval/MnR': 100 - value}
            for number, value in enumerate(recalls)
        ]
        (folder / 'metrics.json').write_text(json.dumps(entries))
        (folder / 'test').mkdir()
        (folder / 'test/metrics.json').write_text(json.dumps([{'stage': 'test', 'retrieval/R1': 7.0}]))
        return folder

    return run


def test_runs_are_compared_in_a_table_and_a_picture(tool, run, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv('COLUMNS', '140')
    run('a', 50.0, 40.0), run('b', 20.0, 30.0)
    tool(TOOL, 'first=a', 'b', '--keys', 'retrieval/R1', 'retrieval/MnR', '--out', 'x.png')
    rows = [
        [cell.strip() for cell in line.strip('│').split('│')]
        for line in capsys.readouterr().out.splitlines()
        if line.startswith('│')
    ]
    assert rows == [
        ['first', 'loss', '-', '2.500 (4), training', '-'],
        ['', 'retrieval/R1', '50.0 (2)', '40.0', '7.0'],
        ['', 'retrieval/MnR', '50.0 (2)', '60.0', '-'],
        ['b', 'loss', '-', '2.500 (4), training', '-'],
        ['', 'retrieval/R1', '30.0 (4)', '30.0', '7.0'],
        ['', 'retrieval/MnR', '70.0 (4)', '70.0', '-'],
    ]
    assert (tmp_path / 'x.png').stat().st_size > 5000


def test_what_is_no_work_dir_is_named(tool, run, tmp_path):
    with pytest.raises(SystemExit, match='none: none has no .*scalars.json'):
        tool(TOOL, 'none')
    (run('a') / 'metrics.json').write_text('{}')
    with pytest.raises(SystemExit, match=r'a: a/metrics.json should contain a JSON list'):
        tool(TOOL, 'a')

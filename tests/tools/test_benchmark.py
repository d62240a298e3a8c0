"""tools/analysis_tools/benchmark.py and the parts that have no test of their own."""

import json
import multiprocessing
import re

import pytest

from mmclip4clip.evaluation import score_rows

from ..fresh_process import fresh_context, run_fresh
from .conftest import ROOT

FOLDER = ROOT / 'tools/analysis_tools'


def run(name, *options):
    """Return what a benchmark prints in a new process, which finds the files beside it."""
    code = f"import runpy; runpy.run_path({str(FOLDER / name)!r}, run_name='__main__')"
    done = run_fresh(code, *options, folder=ROOT, package=FOLDER)
    assert done.returncode == 0, done.printed
    return done.printed


def test_every_benchmark_is_a_part(tool, capsys):
    with pytest.raises(SystemExit):
        tool('analysis_tools/benchmark.py', '--help')
    parts = re.search(r'{(.*?)}', capsys.readouterr().out, re.DOTALL)[1].split(',')
    files = [path.name for path in FOLDER.glob('benchmark_*.py')]
    source = (FOLDER / 'benchmark.py').read_text()
    assert not [name for name in files if f"'{name}'" not in source]
    assert len(parts) == len(re.findall(r"='\w+\.py'", source))


def test_a_line_names_machine_versions_and_command(tool, capsys):
    tool('analysis_tools/benchmark.py', 'machine', '--seconds', 0.01, '--threads', 1)
    machine, command, products, memory = capsys.readouterr().out.splitlines()
    assert 'cores' in machine and 'torch ' in machine and 'mmclip4clip ' in machine
    assert command == '$ benchmark.py machine --seconds 0.01 --threads 1'
    assert float(products.split()[2]) > 0.1 and float(memory.split()[1]) > 0.1


def test_growth_is_printed_and_plotted(tool, tmp_path, capsys, monkeypatch):
    contexts = dict(spawn=fresh_context())
    monkeypatch.setattr(multiprocessing, 'get_context', contexts.__getitem__)
    options = ['--of', 'videos', '--sizes', 10, 40, '--rounds', 1, '--out', tmp_path / 'growth']
    tool('analysis_tools/benchmark_growth.py', *options)
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ['10', '40'] * 2
    figures = json.loads((tmp_path / 'growth.json').read_text())
    assert list(figures['videos']) == ['ranks', 'dual softmax']
    assert (tmp_path / 'growth.png').stat().st_size > 1000
    with pytest.raises(SystemExit, match='--sizes needs one thing'):
        tool('analysis_tools/benchmark_growth.py', '--of', 'videos', 'batch', '--sizes', 10)


def test_startup_is_that_of_new_processes(tool, capsys):
    tool('analysis_tools/benchmark_startup.py', '--only', 'mmclip4clip --help', '--rounds', 1)
    (line,) = capsys.readouterr().out.splitlines()
    assert 0.01 < float(line.split()[-3]) < 60


def test_a_training_step_is_compared_with_the_rate_of_matrix_products():
    options = dict(layers=2, batch_size=2, frames=1, rounds=1, threads=1)
    options = [f'--{name}={value}'.replace('_', '-') for name, value in options.items()]
    out = run('benchmark.py', 'training', '--against', *options)
    assert 'mmclip4clip' in out and '2 videos of 1 frames, 2 layers' in out
    # The first block of ViT-B/32 has 50 tokens a frame, and takes about 3 x 24 x 50 x 768^2 operations.
    assert 4 < float(re.search(r'([\d.,]+) GFLOP at', out)[1]) < 12


def test_a_head_is_ranked_alike_from_a_file_and_from_memory(tool, monkeypatch, capsys):
    monkeypatch.setattr(score_rows, 'KEPT', 0)  # what the tool sets too
    size = ('--captions', 60, '--videos', 20, '--head', 'xpool')
    for options in (size, (*size, '--kept')):
        tool('analysis_tools/benchmark_ranking.py', *options)
    stored, kept = (line for line in capsys.readouterr().out.splitlines() if 'MnR' in line)
    assert 'MiB of scores in a file; ' in stored and 'MiB of scores in memory; ' in kept
    assert stored.rpartition('; MnR ')[2] == kept.rpartition('; MnR ')[2]


def test_ranks_from_features_are_compared_with_the_rate_of_matrix_products():
    size = ['--captions=300', '--videos=100', '--width=512']
    out = run('benchmark_ranking.py', *size)
    assert out.startswith('300 captions, 100 videos, width 512: ranks in ')
    assert float(out.rsplit(maxsplit=1)[1]) > 50  # R@1: a caption is its own video's vector and noise


def test_the_profile_of_a_step_adds_up():
    size = ['--layers', '1', '--frames', '1', '--batch-size', '2', '--threads', '1']
    out = run('benchmark.py', 'profile', *size)
    rows = dict(re.findall(r'│ (\w[\w ]*\w) +│ +(-?[\d.]+) +│', out))
    assert {'matrix products', 'attention', 'activation', 'norms', 'update of the weights'} < rows.keys()
    whole = float(rows.pop('all'))
    assert sum(map(float, rows.values())) == pytest.approx(whole, abs=0.006 * len(rows))
    assert all(float(seconds) >= 0 for seconds in rows.values())

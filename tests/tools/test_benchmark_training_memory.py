import multiprocessing
import runpy

from .conftest import ROOT


def test_a_way_of_training_is_measured_in_a_process_of_its_own(tool, capsys, monkeypatch):
    fork = multiprocessing.get_context('fork')
    monkeypatch.setattr(multiprocessing, 'get_context', lambda kind: fork)  # spawned ones import for seconds
    sizes = dict(batch_size=1, frames=1, words=3, layers=1, steps=1, threads=1)
    options = [x for name, value in sizes.items() for x in (f'--{name.replace("_", "-")}', value)]
    tool('analysis_tools/benchmark_training_memory.py', '--ways', 'checkpointed', *options)
    printed = capsys.readouterr().out
    rows = {line.split()[0]: line.split()[1:] for line in printed.splitlines() if line.count(' ') == 3}
    assert set(rows) == {'checkpointed'}
    for trained, memory, times in rows.values():
        assert int(trained) > 25e6 and int(memory) > 100 * 2**20  # most of them words
        assert all(float(seconds) > 0 for seconds in times.split('/'))
    assert 'batches of 1 x 1 frames, 1 x 1 steps, 1 threads' in printed


def test_memory_is_the_highest_and_times_are_medians_of_all_steps():
    found = [(9, 2**30, [(1.0, 2.0), (5.0, 10.0)]), (9, 2**31, [(3.0, 6.0), (0.5, 1.0)])]
    summarize = runpy.run_path(str(ROOT / 'tools/analysis_tools/benchmark_training_memory.py'))['summarize']
    assert summarize(found) == (2.0, 2.0, 4.0, 0.5)

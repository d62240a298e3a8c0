import multiprocessing


def test_a_way_of_training_is_measured_in_a_process_of_its_own(tool, capsys, monkeypatch):
    fork = multiprocessing.get_context('fork')
    monkeypatch.setattr(multiprocessing, 'get_context', lambda kind: fork)  # spawned ones import for seconds
    sizes = dict(batch_size=1, frames=1, words=3, layers=1, steps=1, threads=1)
    options = [x for name, value in sizes.items() for x in (f'--{name.replace("_", "-")}', value)]
    tool('analysis_tools/benchmark_training_memory.py', '--ways', 'checkpointed', *options)
    printed = capsys.readouterr().out
    rows = {line.split()[0]: line.split()[1:] for line in printed.splitlines() if line.count(' ') == 4}
    assert set(rows) == {'checkpointed'}
    for trained, memory, seconds, cpu in rows.values():
        assert int(trained) > 25e6 and int(memory) > 100 * 2**20  # most of them words
        assert float(seconds) > 0 and float(cpu) > 0
    assert 'batches of 1 x 1 frames, median of 1 steps, 1 threads' in printed

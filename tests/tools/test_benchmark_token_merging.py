import multiprocessing


def test_towers_take_turns_in_processes_of_their_own(tool, capsys, monkeypatch):
    fork = multiprocessing.get_context('fork')
    monkeypatch.setattr(multiprocessing, 'get_context', lambda kind: fork)  # spawned ones import for seconds
    sizes = dict(batch_size=1, frames=1, words=3, layers=2, rounds=1, threads=1)
    options = [x for name, value in sizes.items() for x in (f'--{name.replace("_", "-")}', value)]
    tool('analysis_tools/benchmark_token_merging.py', '--r', 0, 24, *options)
    printed = capsys.readouterr().out
    rows = [line.split() for line in printed.splitlines() if line.count(' ') == 5]
    assert [row[0] for row in rows] == ['0', '24', '0', '24']  # the first turn warms up
    for _, *seconds, memory in rows:
        assert min(map(float, seconds)) > 0 and int(memory) > 100 * 2**20
    assert 'ViT-B/32, 1 videos of 1 frames, median of 1 turns, 1 threads' in printed

import os
import signal

import pytest

from mmclip4clip.apis.decoding_processes import run_in_processes


def test_every_item_is_done_once_whatever_the_number_of_processes():
    for workers in (0, 1, 3, 9):
        found = run_in_processes(lambda items: ((item, os.getpid()) for item in items), range(7), workers)
        items, processes = zip(*found)
        assert sorted(items) == list(range(7))
        assert len(set(processes)) == min(max(workers, 1), 7)
        assert (os.getpid() in processes) == (workers == 0)
    assert list(run_in_processes(lambda items: items, [], 2)) == []


def test_an_error_and_a_death_of_a_process_are_errors_here():
    def fail(items):
        yield from items[:1]
        raise KeyError('odd')

    with pytest.raises(RuntimeError, match=r"a process that decodes videos failed: KeyError\('odd'\)"):
        list(run_in_processes(fail, [1, 2], 2))
    with pytest.raises(RuntimeError, match='ended with exit code -9'):
        list(run_in_processes(lambda items: os.kill(os.getpid(), signal.SIGKILL), [1, 2], 2))


def test_processes_end_if_the_results_are_not_taken():
    results = run_in_processes(lambda items: ((item, os.getpid()) for item in items * 100), [1, 2], 2)
    process = next(results)[1]
    results.close()
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)

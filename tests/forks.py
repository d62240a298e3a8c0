"""Tools that run in forks of the test's process, whose imports they have: a tiny training takes a second."""

import gc
import os
import runpy
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import torch
import torch._dynamo  # optimizers import it at their first step, which takes seconds in each fork
from mmaction.visualization import ActionVisualizer
from mmengine.config import config as mmengine_config
from mmengine.logging import MessageHub, MMLogger
from mmengine.runner import Runner

from mmclip4clip.datasets.video_readers.forking import fork_without_garbage

TIMEOUT = 300  # seconds for all processes


def fork_tool(
    tool: Path,
    args: list[str],
    log: Path,
    rank: int = 0,
    processes: int = 1,
    port: str = '0',
    folder: Path | None = None,
    prepare: Callable[[], None] = lambda: None,
) -> int:
    """Start a tool, as the command line would, and return the id of its process.

    Args:
        tool (Path): The script.
        args (list[str]): Its arguments.
        log (Path): Gets what it prints.
        rank (int): Which of the processes of a run this is.
        processes (int): How many the run has.
        port (str): Where they meet.
        folder (Path, optional): Where it runs.
        prepare (Callable): Called in the process before the tool.
    """
    pid = fork_without_garbage()
    if pid:
        return pid
    status = 1
    try:
        with log.open('a') as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        sys.stdout = sys.stderr = log.open('a')  # in place of those that pytest may have put there
        os.environ.update(
            RANK=str(rank),
            LOCAL_RANK=str(rank),
            WORLD_SIZE=str(processes),
            MASTER_ADDR='127.0.0.1',
            MASTER_PORT=port,
        )
        torch.set_num_threads(1)
        os.chdir(folder or '.')
        gc.freeze()  # what the test's process has is no rubbish of this one's, and takes seconds to look at
        begin_anew()
        prepare()
        sys.argv = [tool.name, *map(str, args)]
        runpy.run_path(str(tool), run_name='__main__')
        status = 0
    except SystemExit as error:
        status = error.code or 0
    except BaseException:
        traceback.print_exc()
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(status)  # whatever happens, or the fork would go on with the tests


def begin_anew(setattr: Callable = setattr) -> None:
    """Let mmengine begin as in a new process, but leave out what takes seconds and no test looks at.

    Args:
        setattr (Callable): What replaces its functions, such as monkeypatch's.
    """
    setattr(Runner, '_log_env', lambda *args: None)  # runs compilers
    if hasattr(mmengine_config, 'FormatCode'):  # not in onedl-mmengine
        setattr(
            mmengine_config, 'FormatCode', lambda text, **style: (text, True)
        )  # configs are not made pretty
    # What runs share is named after the second it began in; two runs of one second would mix.
    for kind in (ActionVisualizer, MessageHub, MMLogger):
        kind._instance_dict.clear()


def wait_for(pids: list[int], after: float = 0.0) -> list[int]:
    """Wait for processes, and return how they ended, minus the signal where they were killed.

    When one has been killed or has failed, the others cannot go on, and are killed.

    Args:
        pids (list[int]): The processes.
        after (float): Kill all after this many seconds, if above 0.
    """
    begin, ends = time.monotonic(), {}
    while len(ends) < len(pids):
        for pid in set(pids) - set(ends):
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                ends[pid] = os.waitstatus_to_exitcode(status)
        spent = time.monotonic() - begin
        if any(ends.values()) or spent > TIMEOUT or (after and spent > after):
            for pid in set(pids) - set(ends):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)
    return [ends[pid] for pid in pids]

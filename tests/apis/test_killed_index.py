"""Indexing is killed at random moments and started again: nothing is lost, and nothing is there twice."""

import json
from pathlib import Path

import pytest

from ..fresh_process import run_fresh

ROOT = Path(__file__).parents[2]
# In a process of its own, because it forks: a process with threads must not.
SCRIPT = """
import json, os, random, shutil, signal, sys, time
from pathlib import Path
import torch
torch.set_num_threads(1)
import mmclip4clip
from mmclip4clip.search import FixedWindows, index_update

checkpoint, videos, folder = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
kills, seed = map(int, sys.argv[4:])
index_update.BATCH_SEGMENTS = 6
model = mmclip4clip.load(checkpoint, device='cpu')
mmclip4clip.create_index(folder / 'killed', model, FixedWindows(1, 0.5)).close()
random.seed(seed)
files = sorted(videos.glob('*.mp4'))
seen, ended = [], 0
for number in range(kills):
    changed = random.choice(files)  # its content changes, another file moves
    with changed.open('ab') as file:
        file.write(b' ')
    if number % 3 == 1:
        moved = random.choice([path for path in files if path != changed])
        files[files.index(moved)] = moved.rename(moved.with_name(f'moved{number}.mp4'))
    pid = os.fork()
    if pid == 0:
        os.setsid()
        index = mmclip4clip.open_index(folder / 'killed', model)
        (folder / 'ready').touch()
        index.update([videos], num_workers=number % 3)
        os._exit(0)
    while not (folder / 'ready').exists():
        time.sleep(0.001)
    (folder / 'ready').unlink()
    time.sleep(random.uniform(0, 1.2))
    os.killpg(pid, signal.SIGKILL)
    ended += os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    index = mmclip4clip.open_index(folder / 'killed', model)
    seen.append(len(index.store))
    index.close()
contents = {}
for name in ('killed', 'fresh'):
    if name == 'fresh':
        mmclip4clip.create_index(folder / name, model, FixedWindows(1, 0.5)).close()
    index = mmclip4clip.open_index(folder / name, model)
    index.update([videos], num_workers=0)
    files = index.catalog.files()
    catalog = [(file.path, file.stamp, file.content, file.segments, file.retry) for file in files]
    rows = index.store.get([file[0] for file in catalog])
    assert len(rows) == len(index.store) == sum(file[3] for file in catalog)
    contents[name] = [catalog, [(row[:7], row.vector.tobytes().hex()) for row in rows]]
print(json.dumps(dict(same=contents['killed'] == contents['fresh'], rows=len(rows), seen=seen, ended=ended)))
"""


@pytest.mark.parametrize('kills', [2, pytest.param(20, marks=pytest.mark.long)])
def test_killed_updates_leave_the_index_that_one_update_makes(kills, checkpoint_of, tested, tmp_path):
    videos = tmp_path / 'videos'
    videos.mkdir()
    for copy in range(2):
        for number, name in enumerate(tested.files):
            content = Path(name).read_bytes()
            (videos / f'{copy}_{number}.mp4').write_bytes(content + bytes(copy))
    arguments = (checkpoint_of('Mean')[0], videos, tmp_path, kills, 7)
    done = run_fresh(SCRIPT, *arguments, folder=ROOT)
    assert done.returncode == 0, done.printed[-3000:]
    found = json.loads(done.printed.splitlines()[-1])
    assert found['same'] and found['rows'] > 32
    assert found['ended'] < kills  # some were killed in the middle

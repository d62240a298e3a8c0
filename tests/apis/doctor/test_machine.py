import shutil
import subprocess

import pytest
import torch

from mmclip4clip.apis.doctor import machine

GIB = 2**30


def test_little_memory_and_few_files_are_warned_about_with_advice():
    little = machine.check_free('shared memory', 64 * 2**20, GIB, 'docker run --shm-size=8g')
    assert little.status == 'warning' and '0.1 GiB' in little.value and 'shm-size' in little.advice
    assert machine.check_free('memory', 8 * GIB, GIB, '').status == 'ok'
    assert machine.check_open_files(256).status == 'warning'
    assert machine.check_open_files(4096).status == machine.check_open_files(-1).status == 'ok'


def test_a_busy_machine_is_noticed():
    assert machine.check_cores(2, load=8.0).status == 'warning'
    assert machine.check_cores(16, load=8.0).status == 'ok'


@pytest.mark.parametrize('free, status', [(0.5, 'problem'), (5, 'warning'), (50, 'ok')])
def test_free_disk_space_is_judged(free, status, tmp_path, monkeypatch):
    usage = shutil._ntuple_diskusage(100 * GIB, 0, int(free * GIB))
    monkeypatch.setattr(shutil, 'disk_usage', lambda folder: usage)
    assert machine.check_disk(tmp_path).status == status


def test_a_folder_that_cannot_be_written_is_a_problem(tmp_path, monkeypatch):
    monkeypatch.setattr('os.access', lambda path, mode: False)
    assert machine.check_disk(tmp_path).status == 'problem'


def test_java_is_looked_for(monkeypatch):
    answer = subprocess.CompletedProcess([], 0, '', 'openjdk version "17"\nmore')
    monkeypatch.setattr(subprocess, 'run', lambda *args, **kwargs: answer)
    assert machine.check_java() == ('java', 'ok', 'openjdk version "17"', '')
    monkeypatch.undo()
    monkeypatch.setenv('PATH', '')
    assert machine.check_java().status == 'warning'


def test_the_hub_is_asked_only_if_wanted(monkeypatch):
    asked = []
    monkeypatch.setattr(machine, 'hub_answers', lambda: bool(asked.append(1)))
    for name in machine.OFFLINE:
        monkeypatch.delenv(name, raising=False)
    assert machine.check_hub(network=False).status == 'ok' and not asked
    assert machine.check_hub(network=True).status == 'warning' and asked
    monkeypatch.setenv('HF_HUB_OFFLINE', '1')
    assert 'HF_HUB_OFFLINE' in machine.check_hub(network=True).value and len(asked) == 1


def test_a_build_for_cuda_without_a_gpu_is_warned_about(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    monkeypatch.setattr(torch.version, 'cuda', '12.4')
    assert machine.check_gpu().status == 'warning' and '12.4' in machine.check_gpu().value
    monkeypatch.setattr(torch.version, 'cuda', None)
    assert machine.check_gpu().status == 'ok'

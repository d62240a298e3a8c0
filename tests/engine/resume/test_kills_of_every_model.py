"""Heads and captioner, workers and processes: each is killed again and again, and loses nothing.

``KILLS=20 python -m pytest -m long tests/engine/resume/test_kills_of_every_model.py`` kills each 20 times.
"""

import os
import random
import shutil
import signal

import pytest

from .conftest import SMALL
from .kill_harness import KilledTraining, assert_same_run

KILLS = int(os.environ.get('KILLS', 2))
MODELS = dict(
    seq=[],
    tight=[
        'model.adapter._delete_=True',
        'model.adapter.type=TightAdapter',
        'model.adapter.width=32',
        'model.adapter.num_layers=1',
        'model.adapter.num_heads=2',
        'model.adapter.max_frames=8',
        'model.adapter.start=random',
        'model.adapter.dropout=0.3',
    ],
    captioner=[
        'model.type=CLIP4ClipCaptioner',
        'model.decoder.type=CaptionDecoder',
        'model.decoder.num_layers=1',
        'model.decoder.num_heads=2',
        'model.decoder.dropout=0.3',
        'model.generation.method=greedy',
        'model.generation.max_new_tokens=4',
    ],
)


@pytest.mark.long
@pytest.mark.parametrize('processes', [1, 2])
@pytest.mark.parametrize('workers', [0, 2])
@pytest.mark.parametrize('model', MODELS)
def test_a_run_that_is_killed_again_and_again_ends_as_a_whole_one(
    module_config, shapes, tmp_path, model, workers, processes
):
    options = [*SMALL, *MODELS[model], f'train_dataloader.num_workers={workers}']
    if workers:
        options.append('train_dataloader.persistent_workers=True')
    if model == 'captioner':
        options.append(f'model.tokenizer={shapes}/tokenizer')
    training = KilledTraining(module_config, tmp_path, options, processes)
    seconds, draw, kills, runs = training.time_of('whole'), random.Random(processes), 0, 0
    while kills < KILLS:
        ended = training.train('killed', resume=True, after=draw.uniform(0.1, 1) * seconds)
        kills += ended[0] == -signal.SIGKILL
        if ended[0] == 0 or kills == KILLS:
            training.train('killed', resume=True)
            assert_same_run(tmp_path / 'killed', tmp_path / 'whole')
            shutil.rmtree(tmp_path / 'killed')
            runs += 1
    print(f'{model}, {workers} workers, {processes} processes: {kills} kills in {runs} runs, nothing lost')

import logging

import torch
from mmengine.logging import MMLogger
from torch import nn

from mmclip4clip.apis.short_log import ShortLogFilter, describe_optimizer


def record(message):
    return logging.LogRecord('mmengine', logging.INFO, __file__, 1, message, (), None)


def test_messages_of_each_parameter_are_dropped_and_others_stay():
    dropped = ('paramwise_options -- a.b:lr=0.1', 'backbone.clip.x is skipped since its requires_grad=False')
    kept = (
        'Epoch(train) [1][1/2] lr: 0.1',
        'a paramwise_options -- inside',
        'loss is skipped since it is NaN',
    )
    assert not any(ShortLogFilter().filter(record(message)) for message in dropped)
    assert all(ShortLogFilter().filter(record(message)) for message in kept)


def test_optimizer_settings_are_counted_with_the_frozen_parameters():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[0].weight.requires_grad = False
    optimizer = torch.optim.AdamW(
        [
            dict(params=[model[0].bias, model[1].bias], weight_decay=0.0),
            dict(params=[model[1].weight], lr=2e-3),
        ],
        lr=1e-3,
        weight_decay=0.05,
    )
    assert describe_optimizer(optimizer.param_groups, model) == (
        'optimized tensors: 2 with lr 0.001, weight_decay 0; 1 with lr 0.002, weight_decay 0.05; 1 are frozen'
    )


def test_many_settings_stay_one_line():
    groups = [dict(params=[0], lr=lr, weight_decay=0) for lr in range(100)]
    line = describe_optimizer(groups, nn.Linear(1, 1))
    assert '94 other settings' in line and '\n' not in line and len(line) < 300


def test_loggers_are_of_mmengine():
    assert issubclass(MMLogger, logging.Logger)  # so that filters can be added to them

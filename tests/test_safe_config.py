import ast

import pytest
from mmengine.config import Config

from mmclip4clip.safe_config import plain_assignments


def test_what_mmengine_writes_is_read_whole():
    written = dict(
        model=dict(type='A', sizes=(1, 2), layers=[dict(n=-1, rate=1e-3), None]),
        name="it's",
        keys={'backbone.clip': dict(lr_mult=0.1), 'a b': [dict(x=True)]},
        bound=float('inf'),
    )
    text = Config(written).pretty_text
    values, kept, others = plain_assignments(text)
    assert kept == text and others == []
    assert values['model'] == dict(type='A', sizes=(1, 2), layers=[dict(n=-1, rate=1e-3), None])
    assert values['keys'] == written['keys'] and values['bound'] == float('inf') and values['name'] == "it's"


@pytest.mark.parametrize(
    'line',
    [
        'import os',
        "__import__('os').mkdir('harmed')",
        "x = __import__('os').mkdir('harmed')",
        'x = open(0)',
        "_base_ = '/etc/passwd'",
        'def f(): pass',
        'x = [y for y in ()]',
        'x = dict(**y)',
        'x = {**y}',
        'x = y',
        "x = f'{y}'",
        'x = lambda: 0',
        'x += 1',
        'x: int = 1',
        'a.b = 1',
        'a = b = 1',
        'if 1: x = 1',
        "x = dict(a=[dict(b=getattr(c, 'd'))])",
        'x = (y := 1)',
        '@f\nclass A: pass',
    ],
)
def test_what_is_more_than_a_value_is_left_out(line):
    values, kept, others = plain_assignments(f"epochs = 5\n{line}\nmodel = dict(type='A')\n")
    assert values == dict(epochs=5, model=dict(type='A'))
    assert kept == "epochs = 5\nmodel = dict(type='A')\n"
    assert len(others) == 1 and others[0] in line


@pytest.mark.parametrize(
    'text', ['x = (', 'a' * 2_000_000, b'x = 1', None, 'x = ' + '(' * 5000 + ')' * 5000, 'x = 1\0']
)
def test_text_that_cannot_be_parsed_gives_nothing(text):
    values, kept, others = plain_assignments(text)
    assert (values, kept) == ({}, '') and len(others[0]) <= 60


def test_the_text_that_is_kept_says_the_same():
    _, kept, _ = plain_assignments('import os; x = 1; y = [\n  2,\n]\n')
    assert ast.dump(ast.parse(kept)) == ast.dump(ast.parse('x = 1\ny = [2]'))

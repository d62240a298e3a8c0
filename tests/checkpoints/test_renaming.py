import pytest
import torch

from mmclip4clip.checkpoints.renaming import (
    Rule,
    check_keys,
    expand,
    join_names,
    layer_rules,
    narrow_dtypes,
    rename_from_native,
    rename_to_native,
)

RULES = [
    Rule('x.{}.qk', ('y.{}.q', 'y.{}.k')),
    Rule('proj', ('linear',), transposed=True),
    *layer_rules('n', 'norm'),
]
THEIRS = {
    'x.0.qk': torch.tensor([[1.0], [2.0]]),
    'x.1.qk': torch.tensor([[3.0], [4.0]]),
    'proj': torch.tensor([[1.0, 2.0, 3.0]]),
    'n.weight': torch.tensor(5.0),
    'n.bias': torch.tensor(6.0),
}
OURS = {
    'y.0.q': [[1.0]],
    'y.0.k': [[2.0]],
    'y.1.q': [[3.0]],
    'y.1.k': [[4.0]],
    'linear': [[1.0], [2.0], [3.0]],
    'norm.weight': 5.0,
    'norm.bias': 6.0,
}


def test_blocks_are_numbered_parts_split_and_matrices_transposed():
    native = rename_to_native(THEIRS, RULES, 'a file')
    assert {key: value.tolist() for key, value in native.items()} == OURS
    assert all(value.is_contiguous() and value.dtype == torch.float32 for value in native.values())
    back = rename_from_native(native, RULES, 'a file')
    assert {key: value.tolist() for key, value in back.items()} == {
        key: value.tolist() for key, value in THEIRS.items()
    }


def test_the_result_shares_no_memory_with_the_source():
    source = {key: value.clone() for key, value in THEIRS.items()}
    native = rename_to_native(source, RULES, 'a file')
    back = rename_from_native(native, RULES, 'a file')
    for value in (*source.values(), *back.values()):
        value.zero_()
    assert {key: value.tolist() for key, value in native.items()} == OURS


def test_precision_is_given_back_where_it_was_remembered():
    source = {key: value.half() if key != 'proj' else value.bfloat16() for key, value in THEIRS.items()}
    dtypes = narrow_dtypes(source | dict(size=torch.tensor(3), n=torch.zeros(1)))
    assert dtypes == {key: 'bfloat16' if key == 'proj' else 'float16' for key in THEIRS}
    back = rename_from_native(rename_to_native(source, RULES, 'a file'), RULES, 'a file', dtypes)
    assert {key: value.dtype for key, value in back.items()} == {k: v.dtype for k, v in source.items()}


def test_no_digits_are_lost_to_a_remembered_precision():
    native = rename_to_native(THEIRS, RULES, 'a file') | {'norm.bias': torch.tensor(1 + 2**-20)}
    back = rename_from_native(native, RULES, 'a file', {'n.bias': 'float16', 'n.weight': 'float16'})
    assert back['n.bias'].item() == 1 + 2**-20 and back['n.weight'].dtype == torch.float16


@pytest.mark.parametrize(
    'change, message',
    [
        ({'proj': torch.zeros(1, 3, dtype=torch.float64)}, 'a file: proj is torch.float64, expected one of '),
        ({'proj': torch.zeros(3)}, r'a file: proj has the shape \(3,\), expected a matrix'),
        ({'x.1.qk': torch.zeros(3, 1)}, r'x.1.qk has the shape \(3, 1\), expected 2 parts of one size'),
        ({'x.3.qk': torch.zeros(2, 1)}, r'the blocks x.N must count from 0 without a gap, got N = 0, 1, 3'),
        ({'x.01.qk': torch.zeros(2, 1)}, 'a file does not .* 1 unknown key: x.01.qk'),
        ({'more': torch.zeros(1)}, 'a file does not have the keys of its kind; 1 unknown key: more'),
    ],
)
def test_what_does_not_fit_the_table_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        rename_to_native(THEIRS | change, RULES, 'a file')


def test_missing_and_unknown_keys_are_listed_shortly():
    with pytest.raises(
        ValueError,
        match='f does not .* kind; 9 missing keys: a0, a1, a2, a3, a4, a5 and 3 more; 2 unknown keys: b, c$',
    ):
        check_keys([f'a{i}' for i in range(9)], ['b', 'c'], 'f')
    check_keys(['a'], ['a'], 'f')


def test_the_way_back_is_as_strict():
    native = rename_to_native(THEIRS, RULES, 'a file')
    with pytest.raises(ValueError, match='1 missing key: y.1.k'):
        rename_from_native({key: value for key, value in native.items() if key != 'y.1.k'}, RULES, 'a file')
    with pytest.raises(ValueError, match='1 unknown key: adapter.x'):
        rename_from_native(native | {'adapter.x': torch.zeros(1)}, RULES, 'a file')


def test_a_stack_without_blocks_misses_its_first():
    names = [rule.source for rule in expand(RULES, ['proj'], 'source')]
    assert names == ['x.0.qk', 'proj', 'n.weight', 'n.bias']


def test_names_are_shortened_only_if_there_are_many():
    assert join_names('abc', most=3) == 'a, b, c'
    assert join_names('abcde', most=3) == 'a, b, c and 2 more'

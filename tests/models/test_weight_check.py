import pytest
import torch

from mmclip4clip.models.weight_check import compare_weights

EXPECTED = {'a.weight': torch.zeros(2, 3), 'a.bias': torch.zeros(2), 'b': torch.tensor(1.0)}


def test_equal_keys_and_shapes_are_no_difference():
    assert not compare_weights(EXPECTED, {key: value.half() for key, value in EXPECTED.items()})


def test_each_kind_of_difference_is_listed():
    difference = compare_weights(EXPECTED, {'a.weight': torch.zeros(3, 2), 'b': 3, 'c': torch.zeros(1)})
    assert difference.missing == ['a.bias'] and difference.unexpected == ['c']
    assert difference.mismatched == ['a.weight: (3, 2) instead of (2, 3)', "b: ('no tensor',) instead of ()"]
    assert str(difference).splitlines() == [
        '2 keys of wrong shape, 1 missing keys, 1 unexpected keys; the first ones:',
        '  a.weight: (3, 2) instead of (2, 3)',
        "  b: ('no tensor',) instead of ()",
        '  a.bias (missing)',
        '  c (unexpected)',
    ]


def test_the_first_three_of_each_kind_are_listed():
    lines = str(compare_weights({f'k{i}': torch.zeros(1) for i in range(9)}, {})).splitlines()
    assert lines == ['9 missing keys; the first ones:', *(f'  k{i} (missing)' for i in range(3))]


@pytest.mark.parametrize('prefix', ['module.', '_orig_mod.', 'model.', 'module._orig_mod.', 'model.clip.'])
def test_a_prefix_that_is_in_the_way_is_named(prefix):
    difference = compare_weights(EXPECTED, {prefix + key: value for key, value in EXPECTED.items()})
    assert difference.prefix == prefix and f'begin with {prefix!r}' in str(difference)


def test_buffers_that_only_count_may_be_there_or_not():
    key = 'text_model.embeddings.position_ids'
    assert not compare_weights(EXPECTED, {**EXPECTED, key: torch.arange(3)[None]})
    assert compare_weights({**EXPECTED, key: torch.arange(3)}, EXPECTED).missing == [key]
    assert compare_weights(EXPECTED, {**EXPECTED, 'other.position_ids': torch.arange(3)}).unexpected

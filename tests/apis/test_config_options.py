import pytest

from mmclip4clip.apis.config_options import parse_options


def test_values_are_parsed_as_by_mmengine():
    assert parse_options(['a.b=1', 'c=[x,"y"]', 'd=True', 'a.b=2', 'e=f=g']) == {
        'a.b': 2,
        'c': ['x', 'y'],
        'd': True,
        'e': 'f=g',
    }


def test_a_parsed_mapping_and_nothing_are_taken_too():
    assert parse_options({'a': 1}) == {'a': 1}
    assert parse_options(None) == parse_options([]) == {}


def test_an_option_without_a_value_is_named():
    with pytest.raises(ValueError, match="expects key=value, got 'train_cfg.max_epochs'"):
        parse_options(['train_cfg.max_epochs'])
    with pytest.raises(ValueError, match='--cfg-options: Imbalanced brackets'):
        parse_options(['a=[1,(2]'])

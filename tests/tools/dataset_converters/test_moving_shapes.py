import json

import pytest

FEW = ('--train-clips', 1, '--num-val', 30, '--num-test', 60)


@pytest.fixture(autouse=True)
def few_combinations(monkeypatch):
    """Keep two combinations a split, so that the tool is quick."""
    from mmclip4clip.moving_shapes import generator

    split = generator.split_combinations
    monkeypatch.setattr(
        generator, 'split_combinations', lambda *args: {k: v[:2] for k, v in split(*args).items()}
    )


def test_the_dataset_is_written_once_and_then_reused(tool, tmp_path, capsys):
    tool('dataset_converters/moving_shapes.py', 'data', *FEW)
    files = {p: p.stat().st_mtime_ns for p in (tmp_path / 'data').rglob('*') if p.is_file()}
    assert sum(p.suffix == '.mp4' for p in files) == 12
    assert len(json.loads((tmp_path / 'data/train.json').read_text())) == 4
    assert len(json.loads((tmp_path / 'data/train_by_shape.json').read_text())) == 4
    assert (tmp_path / 'data/tokenizer/tokenizer.json').exists()
    tool('dataset_converters/moving_shapes.py', 'data', *FEW)
    assert 'already contains' in capsys.readouterr().out
    assert files == {p: p.stat().st_mtime_ns for p in (tmp_path / 'data').rglob('*') if p.is_file()}


def test_a_folder_of_something_else_is_kept_unless_forced(tool, tmp_path):
    (tmp_path / 'data').mkdir()
    (tmp_path / 'data/mine.txt').touch()
    with pytest.raises(SystemExit, match='data exists and was not created by'):
        tool('dataset_converters/moving_shapes.py', 'data', *FEW)
    assert (tmp_path / 'data/mine.txt').exists()
    tool('dataset_converters/moving_shapes.py', 'data', *FEW, '--force')
    assert not (tmp_path / 'data/mine.txt').exists()


@pytest.mark.parametrize(
    'recipe', [b'{"seed": 0', b'[' * 100_000, b'\xff\xfe', b'[1]'], ids=['cut', 'deep', 'encoding', 'list']
)
def test_a_damaged_recipe_is_that_of_something_else(tool, tmp_path, recipe):
    (tmp_path / 'data').mkdir()
    (tmp_path / 'data/recipe.json').write_bytes(recipe)
    with pytest.raises(SystemExit, match='data exists and was not created by'):
        tool('dataset_converters/moving_shapes.py', 'data', *FEW)

"""What a folder of transformers may contain."""

import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import CLIPModel

from mmclip4clip.models import CLIPBackbone
from mmclip4clip.models.backbones.pretrained_folder import (
    FolderError,
    has_weights,
    read_config,
    read_weights,
    weight_files,
)

from .folders import change_config, change_weights


class RunsAFunction:
    def __reduce__(self):
        return os.mkdir, ('harmed',)


def remove(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).unlink(missing_ok=True)


@pytest.mark.parametrize('size', [0, 5, 1000, 60_000])
@pytest.mark.parametrize('name', ['model.safetensors', 'pytorch_model.bin'])
def test_a_truncated_file_is_named(folder, name, size):
    change_weights(folder, dict, name)
    os.truncate(folder / name, size)
    with pytest.raises(OSError, match=f'{folder}/{name} is broken'):
        CLIPBackbone(pretrained=str(folder))


def test_a_part_that_is_absent_or_elsewhere_is_named(folder):
    for part in ('model-00002-of-00002.safetensors', '../clip/model.safetensors'):
        index = dict(weight_map={'a': 'part.safetensors', 'b': part})
        (folder / 'model.safetensors.index.json').write_text(json.dumps(index))
        (folder / 'model.safetensors').rename(folder / 'part.safetensors')
        with pytest.raises(OSError, match=f'names 2 files, of which 1 are not in the folder: {part}'):
            CLIPBackbone(pretrained=str(folder))
        (folder / 'part.safetensors').rename(folder / 'model.safetensors')


def test_code_in_the_weights_is_not_run(folder, monkeypatch):
    monkeypatch.chdir(folder)
    change_weights(folder, lambda w: w | dict(harm=RunsAFunction()), 'pytorch_model.bin')
    with pytest.raises(OSError, match='pytorch_model.bin is broken'):
        CLIPBackbone(pretrained=str(folder))
    assert not (folder / 'harmed').exists()


@pytest.mark.parametrize('kind', ['blip', 'clip_text_model', 'siglip_vision_model', None])
def test_another_model_type_is_named(folder, kind):
    change_config(folder, model_type=kind)
    with pytest.raises(OSError, match=f'clip/config.json is of model_type={kind!r}, expected clip or '):
        CLIPBackbone(pretrained=str(folder))


@pytest.mark.parametrize(
    'content',
    [
        '',
        '[]',
        '{"model_type": "clip", "text_config": 3}',
        '{' * 9999,
        '{"model_type": "clip", "vision_config": {"hidden_size": -5}}',
    ],
)
def test_a_config_that_describes_no_clip_is_named(folder, content):
    (folder / 'config.json').write_text(content)
    with pytest.raises(OSError, match='clip/config.json'):
        CLIPBackbone(pretrained=str(folder))


@pytest.mark.parametrize('where', [None, 'text_config', 'vision_config'])
def test_a_folder_cannot_ask_for_code_of_the_hub(folder, log, where):
    requests = dict(
        attn_implementation='someone/kernel',
        auto_map=dict(AutoModel='code.Model'),
        fusion_config=dict(x=1),
        transformers_weights='../x.safetensors',
    )
    config = json.loads((folder / 'config.json').read_text())
    change_config(folder, **(requests if where is None else {where: config[where] | requests}))
    loaded = CLIPBackbone(pretrained=str(folder)).clip
    for part in (loaded, loaded.text_model, loaded.vision_model):
        assert part.config._attn_implementation == 'sdpa'
        assert not hasattr(part.config, 'fusion_config') and not hasattr(part.config, 'auto_map')
    assert 'also asks for auto_map, attn_implementation, fusion_config, transformers_weights' in log[0]


def test_peft_adapters_and_quantized_weights_are_refused(folder):
    (folder / 'adapter_config.json').write_text('{"base_model_name_or_path": "someone/clip"}')
    with pytest.raises(OSError, match='adapter_config.json: its weights belong to a PEFT adapter'):
        CLIPBackbone(pretrained=str(folder))
    (folder / 'adapter_config.json').unlink()
    change_config(folder, quantization_config=dict(quant_method='bitsandbytes'))
    with pytest.raises(OSError, match='quantization_config, expected full weights'):
        CLIPBackbone(pretrained=str(folder))


def test_the_config_is_read_without_what_does_not_describe_a_clip(folder, tiny_clip):
    change_config(folder, _name_or_path='/secret', torch_dtype='float16', logit_scale_init_value=1.5, x=3)
    _, config = read_config(folder)
    for tower, values in tiny_clip.items():
        for key, value in values.items() if isinstance(values, dict) else ():
            assert getattr(getattr(config, tower), key) == value, (tower, key)
    assert config.projection_dim == 32 and config.logit_scale_init_value == 1.5
    assert not hasattr(config, 'x') and config.name_or_path == ''
    assert config.to_dict().get('dtype') is None and config.to_dict().get('torch_dtype') is None


def test_a_folder_without_config_is_named(folder):
    remove(folder, 'config.json')
    with pytest.raises(FolderError, match='clip has no config.json, so it is not a folder of transformers'):
        read_config(folder)


def test_a_folder_that_asks_for_nothing_is_not_logged(folder, log):
    read_config(folder)
    assert log == []


def test_one_file_comes_before_parts_and_safetensors_before_pickles(folder):
    CLIPModel.from_pretrained(folder).save_pretrained(folder, max_shard_size='100KB')
    remove(folder, 'model.safetensors')
    parts = weight_files(folder)
    assert len(parts) > 1 and parts == sorted(folder.glob('model-*.safetensors'))
    (folder / 'pytorch_model.bin').touch()
    assert weight_files(folder) == parts
    (folder / 'model.safetensors').touch()
    assert weight_files(folder) == [folder / 'model.safetensors']
    remove(folder, 'model.safetensors', 'model.safetensors.index.json')
    assert weight_files(folder) == [folder / 'pytorch_model.bin']


@pytest.mark.parametrize('name', ['model.safetensors', 'pytorch_model.bin', 'pytorch_model.bin.index.json'])
def test_a_folder_without_weights_is_told_from_one_with(folder, name):
    remove(folder, 'model.safetensors')
    assert not has_weights(folder)
    with pytest.raises(FolderError, match='neither model.safetensors nor pytorch_model.bin, but config.json'):
        weight_files(folder)
    (folder / name).touch()
    assert has_weights(folder)


@pytest.mark.parametrize(
    'content, message',
    [
        ('', 'names no files: JSONDecodeError'),
        ('[]', 'names no files: TypeError'),
        ('{}', "names no files: KeyError.'weight_map'"),
        ('{"weight_map": ["a"]}', 'names no files: AttributeError'),
        ('[' * 100_000, 'names no files: RecursionError'),
        ('{"weight_map": {}}', 'names 0 files, of which 0 are not in the folder'),
        ('{"weight_map": {"a": 3}}', 'names 1 files, of which 1 are not in the folder: 3'),
        ('{"weight_map": {"a": null, "b": ["x"]}}', 'names 2 files, of which 2 are not in the folder'),
    ],
)
def test_an_index_without_file_names_is_named(folder, content, message):
    remove(folder, 'model.safetensors')
    (folder / 'model.safetensors.index.json').write_text(content)
    with pytest.raises(FolderError, match=f'model.safetensors.index.json {message}'):
        weight_files(folder)


@pytest.mark.parametrize('name', ['model.safetensors', 'pytorch_model.bin'])
def test_weights_keep_their_precision(folder, name):
    expected = {key: value.half() for key, value in load_file(folder / 'model.safetensors').items()}
    change_weights(folder, lambda weights: expected, name)
    tensors = read_weights(folder)
    assert tensors.keys() == expected.keys()
    assert all(
        value.dtype == torch.float16 and torch.equal(value, expected[key]) for key, value in tensors.items()
    )


@pytest.mark.parametrize(
    'key, value, entry',
    [
        ('epoch', 3, r'epoch \(int\)'),
        ('mask', torch.zeros(2, dtype=torch.bool), r'mask \(torch.bool\)'),
        ('text_model.embeddings.position_ids', 'x', r'text_model.embeddings.position_ids \(str\)'),
        (7, torch.zeros(2), r'7 \(torch.float32\)'),
    ],
)
def test_an_entry_that_is_no_named_tensor_of_numbers_is_named(folder, key, value, entry):
    change_weights(folder, lambda weights: {**weights, key: value}, 'pytorch_model.bin')
    with pytest.raises(FolderError, match=f'clip contains entries that are not .*: {entry}$'):
        read_weights(folder)


@pytest.mark.parametrize('content', [[torch.zeros(3)], torch.zeros(3), 'text', 3])
def test_a_file_that_holds_no_dict_is_named(folder, content):
    change_weights(folder, lambda weights: content, 'pytorch_model.bin')
    with pytest.raises(FolderError, match='pytorch_model.bin is broken: .'):
        read_weights(folder)

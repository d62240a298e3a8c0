"""Published weights: what the index says of them against the configs, and a folder laid out as the hub's."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from huggingface_hub import constants
from mmaction.registry import MODELS, TRANSFORMS
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from PIL import Image
from transformers import (
    AutoTokenizer,
    CLIPConfig,
    CLIPModel,
    CLIPTextModelWithProjection,
    CLIPVisionModelWithProjection,
)

from mmclip4clip.apis import clip_choice, find_preset, list_presets, presets, use_clip
from mmclip4clip.checkpoints import KINDS
from mmclip4clip.models.backbones import pretrained

from ..videos import at_rate, write_frames

ROOT = Path(__file__).parents[2]
NAME = 'Searchium-ai/clip4clip-webvid150k'
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
PROCESSOR = dict(
    crop_size=224,
    do_center_crop=True,
    do_normalize=True,
    do_resize=True,
    feature_extractor_type='CLIPFeatureExtractor',
    image_mean=MEAN,
    image_std=STD,
    resample=3,
    size=224,
)


@pytest.fixture(params=list_presets(), ids=lambda preset: preset.name)
def preset(request):
    return request.param


def test_the_index_names_what_is_published_and_where():
    assert [preset.name.partition('/')[0] for preset in list_presets()] == ['Searchium-ai', 'mmaction2']
    assert find_preset(NAME).weights == f'https://huggingface.co/{NAME}'
    assert find_preset('openai/clip-vit-base-patch32') is None


def test_every_preset_has_published_figures_with_their_publisher(preset):
    assert preset.format in KINDS and preset.weights.startswith('https://')
    for result in preset.results:
        assert result['Published By'].startswith(('the model card', 'mmaction2'))
        assert result['Source'].startswith('https://') and result['Metrics']['R1'] > 40


def test_the_config_of_a_preset_has_its_frames_pixels_and_projection(preset):
    cfg = Config.fromfile(ROOT / preset.config)
    steps = cfg.test_dataloader.dataset.pipeline
    assert steps[0].sampling == preset.frames
    assert [step for step in steps if 'Resize' in step.type or 'Crop' in step.type] == preset.pixels
    normalize = MODELS.build(cfg.model.data_preprocessor)
    for buffer, published in ((normalize.mean, preset.mean), (normalize.std, preset.std)):
        torch.testing.assert_close(buffer.flatten(), 255 * torch.tensor(published))
    assert cfg.model.adapter.type == 'MeanAdapter'
    with torch.device('meta'):
        assert MODELS.build(dict(type='CLIPBackbone', config={})).width == preset.projection


def test_one_line_of_config_or_one_command_uses_a_preset(preset):
    if preset.format == 'transformers':
        assert Config.fromstring(preset.usage(), '.py').clip == preset.name
        assert Config.fromfile(ROOT / preset.config).clip == preset.name
    else:
        assert preset.usage().startswith('python tools/model_converters/convert.py clip4clip_vit-base-p32')
        assert preset.usage().endswith('_20230612-b9706e54.pth clip4clip.pth')


@pytest.mark.parametrize('inherited', [True, False])
def test_a_test_with_other_frames_than_the_published_ones_is_warned_of(monkeypatch, inherited):
    log = []
    monkeypatch.setattr(clip_choice, 'print_log', lambda message, **kwargs: log.append(message))
    other = find_preset('mmaction2/clip4clip_vit-base-p32-res224-clip-pre_8xb16-u12-5e_msrvtt-9k-rgb')
    cfg = Config.fromfile(ROOT / (find_preset(NAME) if inherited else other).config)
    cfg.clip = NAME
    use_clip(cfg)
    warnings = [message for message in log if 'was published with other frames' in message]
    assert len(warnings) == (not inherited)
    assert inherited or find_preset(NAME).config in warnings[0]


def test_an_installation_keeps_the_index_in_its_folder_of_configs(monkeypatch, tmp_path):
    for name in ('model-index.yml', *re.findall(r'\S+\.yml', (ROOT / 'model-index.yml').read_text())):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    monkeypatch.setattr(presets, 'ROOTS', (tmp_path / 'nothing', tmp_path))
    assert find_preset(NAME)
    monkeypatch.setattr(presets, 'ROOTS', (tmp_path / 'nothing',))
    assert list_presets() == []


@pytest.fixture
def published(tiny_clip, shapes, tmp_path, monkeypatch) -> str:
    """Tiny random weights in the local cache of the hub, in the files that the published ones have."""
    folder = tmp_path / f'hub/models--{NAME.replace("/", "--")}/snapshots/d2f8985'
    tokenizer = AutoTokenizer.from_pretrained(shapes / 'tokenizer')
    tiny_clip['vision_config']['image_size'] = 224
    tiny_clip['text_config'].update(vocab_size=len(tokenizer), max_position_embeddings=77)
    model = CLIPModel(CLIPConfig(**tiny_clip))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    safetensors = (folder / 'model.safetensors').rename(tmp_path / 'model.safetensors')
    buffers = {
        f'{tower}_model.embeddings.position_ids': torch.arange(n)[None]
        for tower, n in (('text', 77), ('vision', 50))
    }
    torch.save({**model.state_dict(), **buffers}, folder / 'pytorch_model.bin')
    config = json.loads((folder / 'config.json').read_text())
    for tower in ('text_config', 'vision_config'):
        config[tower]['projection_dim'] = config['projection_dim']
        config[f'{tower}_dict'] = None
    (folder / 'config.json').write_text(json.dumps(dict(config, transformers_version=None)))
    (folder / 'preprocessor_config.json').write_text(json.dumps(PROCESSOR))
    for other in ('README.md', 'Notebooks/GSI_VideoRetrieval_VideoEmbedding.ipynb'):
        (folder / other).parent.mkdir(exist_ok=True)
        (folder / other).write_text('{}')
    (folder.parents[1] / 'refs').mkdir()
    (folder.parents[1] / 'refs/main').write_text('d2f8985')
    monkeypatch.setattr(constants, 'HF_HUB_CACHE', str(tmp_path / 'hub'))
    # transformers 4 copies the value when it is imported.
    monkeypatch.setattr(transformers.utils.hub, 'TRANSFORMERS_CACHE', str(tmp_path / 'hub'), raising=False)
    shutil.copytree(folder, tmp_path / 'reference')
    safetensors.rename(tmp_path / 'reference/model.safetensors')
    return str(folder)


def embed_like_the_card(folder: Path, frames: list[np.ndarray], caption: str) -> torch.Tensor:
    """Score a caption and a video as the notebook of the card does, with transformers' models and PIL.

    The folder has safetensors: before torch 2.6, transformers reads no ``pytorch_model.bin``.
    """
    vision = CLIPVisionModelWithProjection.from_pretrained(folder).eval()
    text = CLIPTextModelWithProjection.from_pretrained(folder).eval()
    pixels = []
    for frame in frames:
        height, width = frame.shape[:2]
        size = (224, int(224 * height / width)) if width < height else (int(224 * width / height), 224)
        image = Image.fromarray(frame).resize(size, Image.Resampling.BICUBIC)
        left, top = round((size[0] - 224) / 2), round((size[1] - 224) / 2)
        image = np.asarray(image.crop((left, top, left + 224, top + 224)), np.float32) / 255
        pixels.append((image - np.float32(MEAN)) / np.float32(STD))
    tokens = AutoTokenizer.from_pretrained(folder)(caption, return_tensors='pt')
    with torch.no_grad():
        video = vision(torch.tensor(np.stack(pixels)).permute(0, 3, 1, 2)).image_embeds
        words = text(tokens['input_ids'], tokens['attention_mask']).text_embeds
    video = torch.nn.functional.normalize(video, dim=-1).mean(dim=0)
    return torch.nn.functional.cosine_similarity(words[0], video, dim=0)


def test_the_published_name_gives_the_scores_of_the_card(published, tmp_path):
    caption = 'a red circle moves up'
    write_frames(tmp_path / 'v.mp4', at_rate(12.5, 45))  # 3.6 seconds; the notebook counts 12 frames as one
    cfg = Config.fromfile(ROOT / find_preset(NAME).config)
    use_clip(cfg)
    pipeline = cfg.test_dataloader.dataset.pipeline
    item = dict(filename=str(tmp_path / 'v.mp4'), captions=[caption], video_id='v', group='v')
    decode = TRANSFORMS.build(pipeline[0])
    read = decode(dict(item))
    assert list(read['frame_inds']) == [0, 12, 24, 36]  # each multiple of the integer rate
    model = MODELS.build(cfg.model).eval()
    data = model.data_preprocessor(pseudo_collate([Compose(pipeline)(dict(item))]))
    with torch.no_grad():
        score = model.similarity(*model(**data, mode='tensor'))[0, 0]
    torch.testing.assert_close(
        score, embed_like_the_card(tmp_path / 'reference', list(read['imgs']), caption), rtol=0, atol=1e-5
    )
    assert model.backbone.pretrained == NAME and pretrained.find_folder(NAME) == Path(published)


def test_the_table_in_the_documentation_has_every_preset(preset):
    table = (ROOT / 'docs/checkpoints.md').read_text().split('## Published weights')[1].split('\n## ')[0]
    (row,) = [
        line
        for line in table.splitlines()
        if line.startswith('|') and str(preset.results[0]['Metrics']['R1']) in line
    ]
    weights, use, config, figure = row.strip('|').split('|')
    assert preset.config.endswith(config.strip(' `…'))
    assert f'({preset.weights})' in weights
    assert use.strip(' `') == (
        preset.usage() if preset.format == 'transformers' else 'convert.py FILE.pth clip4clip.pth'
    )
    assert preset.results[0]['Dataset'].split(', ')[0] in figure

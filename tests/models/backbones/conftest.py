import pytest
from transformers import CLIPConfig, CLIPModel

from mmclip4clip.models.backbones import clip, pretrained, pretrained_folder


@pytest.fixture
def folder(tiny_clip, tmp_path):
    """The folder of a tiny CLIP, as transformers saves it."""
    CLIPModel(CLIPConfig(**tiny_clip)).save_pretrained(tmp_path / 'clip')
    return tmp_path / 'clip'


@pytest.fixture
def log(monkeypatch):
    """What loading a folder logs."""
    log = []
    for module in (clip, pretrained, pretrained_folder):
        monkeypatch.setattr(module, 'print_log', lambda message, **kwargs: log.append(message))
    return log

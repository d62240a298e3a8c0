"""A checkpoint as a folder of transformers, and its upload to a hub that is not there."""

from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
import torch
from huggingface_hub import ModelCard
from transformers import AutoModel, AutoProcessor

import mmclip4clip
from mmclip4clip.apis.hub_push import push_to_hub, save_transformers


@pytest.fixture(scope='module')
def saved(checkpoint_of, tmp_path_factory):
    """A checkpoint, and the folder that was saved from it."""
    folder = tmp_path_factory.mktemp('hub') / 'tiny'
    path = checkpoint_of('Mean')[0]
    save_transformers(path, folder, repo='me/tiny')
    return path, folder


def test_the_folder_has_the_features_of_the_checkpoint(saved):
    path, folder = saved
    before, after = mmclip4clip.load(path, device='cpu'), mmclip4clip.load(folder, device='cpu')
    texts = ['a red circle goes left', 'a blue star']
    np.testing.assert_allclose(after.encode_text(texts), before.encode_text(texts), atol=1e-6)
    frames = np.random.default_rng(0).integers(0, 255, (3, 64, 64, 3), np.uint8)
    np.testing.assert_allclose(after.encode_videos(frames), before.encode_videos(frames), atol=1e-5)


def test_transformers_reads_model_processor_and_tokenizer(saved):
    path, folder = saved
    model, processor = AutoModel.from_pretrained(folder), AutoProcessor.from_pretrained(folder)
    texts = ['a red circle goes left', 'a blue star']
    inputs = processor(text=texts, padding=True, return_tensors='pt')
    with torch.no_grad():
        found = model.get_text_features(**inputs)
    found = getattr(found, 'pooler_output', found)
    found = torch.nn.functional.normalize(found, dim=-1)
    expected = mmclip4clip.load(path, device='cpu').encode_text(texts)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_model_card_has_metadata_and_the_name_of_the_repository(saved):
    card = ModelCard.load(saved[1] / 'README.md')
    assert card.data.library_name == 'transformers' and 'mmclip4clip' in card.data.tags
    assert "mmclip4clip.load('me/tiny')" in card.text and '# tiny' in card.text


def test_a_push_creates_the_repository_and_uploads_the_folder(saved, checkpoint_of, monkeypatch):
    calls = []

    class Api:
        def __init__(self, token=None):
            calls.append(token)

        def create_repo(self, repo, private, exist_ok):
            calls.append((repo, private, exist_ok))

        def upload_folder(self, repo_id, folder_path, commit_message):
            calls.append((repo_id, Path(folder_path).name))
            assert ModelCard.load(f'{folder_path}/README.md')
            return 'https://hub/me/tiny/commit/1'

    monkeypatch.setattr(huggingface_hub, 'HfApi', Api)
    assert push_to_hub(saved[0], 'me/tiny') == 'https://hub/me/tiny/commit/1'
    assert calls == [None, ('me/tiny', True, True), ('me/tiny', 'model')]
    push_to_hub(saved[1], 'me/tiny', private=False)
    assert calls[4:] == [('me/tiny', False, True), ('me/tiny', 'tiny')]
    with pytest.raises(ValueError, match='--clip-only|clip_only'):
        push_to_hub(checkpoint_of('Seq')[0], 'me/seq')

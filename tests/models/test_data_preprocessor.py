import json

import numpy as np
import pytest
import torch
from mmaction.registry import MODELS
from mmaction.structures import ActionDataSample
from mmengine.dataset import pseudo_collate
from transformers import CLIPConfig, CLIPModel

from mmclip4clip.models import VideoCaptionPreprocessor


def packed(frames, captions, size=4, name='v'):
    sample = ActionDataSample()
    sample.set_metainfo(dict(video_id=name))
    length = max((len(c) for c in captions), default=0)
    tokens = np.array([c + [0] * (length - len(c)) for c in captions])
    mask = np.array([[1] * len(c) + [0] * (length - len(c)) for c in captions])
    imgs = torch.randint(0, 256, (frames, 3, size, size), dtype=torch.uint8)
    return dict(inputs=dict(imgs=imgs, tokens=tokens, text_mask=mask), data_samples=sample)


def test_pads_frames_and_captions_and_says_whose_they_are():
    batch = [packed(2, [[5, 6, 1], [7, 1]]), packed(3, [[8, 9, 9, 1]])]
    out = VideoCaptionPreprocessor()(pseudo_collate(batch))['inputs']
    assert out['frames'].shape == (2, 3, 3, 4, 4)
    assert out['frame_mask'].tolist() == [[1, 1, 0], [1, 1, 1]]
    assert out['tokens'].tolist() == [[5, 6, 1, 0], [7, 1, 0, 0], [8, 9, 9, 1]]
    assert out['text_mask'].tolist() == [[1, 1, 1, 0], [1, 1, 0, 0], [1, 1, 1, 1]]
    assert out['video_index'].tolist() == [0, 0, 1]


def test_pads_the_decoders_tokens_apart_from_clips():
    batch = [packed(1, [[5, 6, 1], [7, 1]]), packed(1, [[8, 1]])]
    for item, rows in zip(batch, ([[2, 3], [2, 0]], [[2, 4, 4, 3]])):
        item['inputs'].update(caption_tokens=np.array(rows), caption_mask=np.array(rows).clip(max=1))
    out = VideoCaptionPreprocessor()(pseudo_collate(batch))['inputs']
    assert out['caption_tokens'].tolist() == [[2, 3, 0, 0], [2, 0, 0, 0], [2, 4, 4, 3]]
    assert out['caption_mask'].tolist() == [[1, 1, 0, 0], [1, 0, 0, 0], [1, 1, 1, 1]]
    assert out['tokens'].tolist() == [[5, 6, 1], [7, 1, 0], [8, 1, 0]]


def test_normalizes_as_clip_does():
    batch = [packed(1, [[1]])]
    frames = VideoCaptionPreprocessor()(pseudo_collate(batch))['inputs']['frames'][0, 0]
    raw = batch[0]['inputs']['imgs'][0].double() / 255
    for channel, mean, std in zip(
        range(3), (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
    ):
        torch.testing.assert_close(
            frames[channel].double(), (raw[channel] - mean) / std, rtol=1e-5, atol=1e-5
        )


def test_names_the_video_whose_frames_do_not_fit():
    with pytest.raises(ValueError, match=r'odd has frames .*\(3, 8, 8\).*\(3, 4, 4\)'):
        VideoCaptionPreprocessor()(pseudo_collate([packed(1, [[1]]), packed(1, [[1]], 8, 'odd')]))
    with pytest.raises(ValueError, match='empty has no frames'):
        VideoCaptionPreprocessor()(pseudo_collate([packed(0, [[1]], name='empty')]))


def test_items_of_one_video_have_one_video_key():
    batch = [packed(1, [[1]], name='a.mp4'), packed(1, [[2]], name='b.mp4'), packed(1, [[3]], name='a.mp4')]
    video_key = VideoCaptionPreprocessor()(pseudo_collate(batch))['inputs']['video_key'].tolist()
    assert video_key[0] == video_key[2] != video_key[1]
    again = VideoCaptionPreprocessor()(pseudo_collate(batch[:1]))['inputs']['video_key'].tolist()
    assert again == video_key[:1]  # also in another batch, on another process


def encoder(tiny_clip, tmp_path, **values):
    """A pretrained tiny CLIP whose image processor has its own mean and standard deviation."""
    CLIPModel(CLIPConfig(**tiny_clip)).save_pretrained(tmp_path / 'clip')
    processor = dict(image_mean=[0.5, 0.4, 0.3], image_std=[0.1, 0.2, 0.3])
    (tmp_path / 'clip/preprocessor_config.json').write_text(json.dumps(processor))
    return MODELS.build(
        dict(
            type='CLIP4ClipRetriever',
            backbone=dict(type='CLIPBackbone', pretrained=str(tmp_path / 'clip')),
            adapter=dict(type='MeanAdapter'),
            data_preprocessor=dict(type='VideoCaptionPreprocessor', **values),
        )
    ).data_preprocessor


def test_normalization_follows_the_encoder(tiny_clip, tmp_path):
    found = encoder(tiny_clip, tmp_path)
    assert found.mean.flatten().tolist() == pytest.approx([127.5, 102, 76.5])
    batch = pseudo_collate([packed(1, [[5, 1]])])
    frames = found(batch)['inputs']['frames'][0, 0]
    pixels = batch['inputs']['imgs'][0][0].double() / 255
    mean, std = (torch.tensor(x)[:, None, None] for x in ([0.5, 0.4, 0.3], [0.1, 0.2, 0.3]))
    expected = (pixels - mean) / std
    torch.testing.assert_close(frames.double(), expected, atol=1e-5, rtol=1e-5)


def test_a_normalization_that_is_not_the_encoders_is_refused(tiny_clip, tmp_path):
    with pytest.raises(
        ValueError, match=r'has mean=\[0, 0, 0\], but the pretrained encoder was trained with'
    ):
        encoder(tiny_clip, tmp_path, mean=[0, 0, 0])


def test_a_rounded_or_wanted_normalization_is_kept(tiny_clip, tmp_path):
    assert encoder(tiny_clip, tmp_path, mean=[127, 102, 77]).mean.flatten().tolist() == [127, 102, 77]
    found = encoder(tiny_clip, tmp_path, std=[9, 9, 9], any_normalization=True)
    assert found.std.flatten().tolist() == [9, 9, 9]


def test_a_random_encoder_takes_any_normalization(tiny_clip):
    model = MODELS.build(
        dict(
            type='CLIP4ClipRetriever',
            backbone=dict(type='CLIPBackbone', config=tiny_clip),
            adapter=dict(type='MeanAdapter'),
            data_preprocessor=dict(type='VideoCaptionPreprocessor', mean=[1, 2, 3]),
        )
    )
    assert model.data_preprocessor.mean.flatten().tolist() == [1, 2, 3]

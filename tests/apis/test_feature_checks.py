"""Features of other data or of another encoder than those of the config are not used silently."""

import json
from pathlib import Path

import pytest
from mmaction.registry import TRANSFORMS
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmclip4clip.apis import feature_checks, use_features
from mmclip4clip.datasets.feature_files import FeatureMismatchError
from mmclip4clip.datasets.pipeline_description import describe_pipeline

from ..datasets.feature_folders import random_videos, write_folder

SAMPLING = dict(type='SampleAtRate', fps=2, max_frames=4)


def make_config(root: Path, frames=4, **backbone) -> Config:
    pipeline = [dict(type='DecodeVideo', sampling=dict(SAMPLING, max_frames=frames))]
    dataset = dict(
        type='VideoCaptionDataset',
        data_root=str(root),
        ann_file='test.json',
        test_mode=True,
        pipeline=pipeline,
    )
    model = dict(
        type='CLIP4ClipRetriever',
        backbone=dict(type='CLIPBackbone', **backbone),
        adapter=dict(type='MeanAdapter'),
    )
    return Config(dict(model=model, test_dataloader=dict(batch_size=2, dataset=dataset)))


@pytest.fixture
def videos():
    return random_videos()


@pytest.fixture
def annotations(tmp_path, videos):
    entries = [dict(video=v.info['video_id'], captions=v.info['captions']) for v in videos]
    (tmp_path / 'test.json').write_text(json.dumps(entries))
    return entries


def write(folder, videos, **changes):
    init_default_scope('mmaction')
    decode = TRANSFORMS.build(dict(type='DecodeVideo', sampling=SAMPLING))
    made = dict(preprocessing=describe_pipeline(None, [decode]), **changes)
    return write_folder(folder / 'features' / 'test', videos, **made).parent


def use(tmp_path, features, **kwargs):
    cfg = make_config(tmp_path, **kwargs)
    use_features(cfg, features, training=False)
    return cfg.model.backbone.type


def test_features_of_these_annotations_and_frames_are_used(tmp_path, videos, annotations, caplog):
    assert use(tmp_path, write(tmp_path, videos)) == 'StoredFeatureBackbone'
    assert 'differently' not in caplog.text
    assert use(tmp_path / 'without_annotations', tmp_path / 'features') == 'StoredFeatureBackbone'


def test_other_captions_or_an_other_order_are_refused(tmp_path, videos, annotations):
    features = write(tmp_path, videos)
    (tmp_path / 'test.json').write_text(json.dumps(annotations[::-1]))
    with pytest.raises(ValueError, match='it has 3 videos, the file 3, and 2 in the same place have other'):
        use(tmp_path, features)


def test_other_frames_are_said(tmp_path, videos, annotations, monkeypatch):
    said = []
    monkeypatch.setattr(feature_checks, 'print_log', lambda text, **kwargs: said.append(text))
    use(tmp_path, write(tmp_path, videos), frames=12)
    assert len(said) == 1 and 'max_frames' in said[0] and '12' in said[0]


@pytest.mark.parametrize(
    ('made', 'config', 'fits'),
    [
        ([], None, True),
        ([], dict(r=0), True),
        ([4] * 11, dict(r=4), True),
        ([4, 2, 0], dict(r=[4, 2, 0]), True),
        ([4] * 11, None, False),
        ([], dict(r=4), False),
        ([4] * 11, dict(r=3), False),
        ([4, 2, 0], dict(r=[4, 2, 1]), False),
    ],
)
def test_an_encoder_that_merges_other_patches_is_refused(tmp_path, videos, annotations, made, config, fits):
    features = write(tmp_path, videos, token_merging=made)
    if fits:
        assert use(tmp_path, features, token_merging=config) == 'StoredFeatureBackbone'
        return
    with pytest.raises(FeatureMismatchError, match='merges .* patches, but the config has'):
        use(tmp_path, features, token_merging=config)

import pytest

from mmclip4clip.apis.checkpoint_config import config_of

MODEL = "model = dict(type='{}', adapter=dict(type='{}', init_cfg=dict(type='Pretrained')))\n"
PIPELINE = "test_dataloader = dict(dataset=dict(type='X', pipeline=[{}]))\n"


def read(model='CLIP4ClipRetriever', adapter='MeanAdapter', step="dict(type='Resize', scale=(-1, 256))"):
    text = MODEL.format(model, adapter) + PIPELINE.format(step)
    return config_of(dict(meta=dict(cfg=text)), 'c.pth')


def test_scopes_and_modules_of_registered_classes_become_their_names():
    cfg = read('mmaction.CLIP4ClipRetriever', 'mmclip4clip.models.MeanAdapter')
    assert cfg.model.type == 'CLIP4ClipRetriever' and cfg.model.adapter == dict(type='MeanAdapter')
    assert cfg.test_dataloader.dataset.pipeline[0].scale == (-1, 256)  # mmaction2 refuses a list


@pytest.mark.parametrize('kind', ['os.MeanAdapter', 'evil.models.MeanAdapter', 'NoSuchAdapter', 'os.system'])
def test_other_classes_are_refused(kind):
    with pytest.raises(ValueError, match=f"c.pth names '{kind}', which is not registered"):
        read(adapter=kind)
    with pytest.raises(ValueError, match=f"c.pth names '{kind}', which is not registered"):
        read(step=f"dict(type='DecodeVideo', sampling=[dict(type='{kind}')])")


@pytest.mark.parametrize(
    'content', [{}, [], dict(meta=3), dict(meta=dict(cfg=3)), dict(meta=dict(cfg='a ='))]
)
def test_a_checkpoint_without_a_config_needs_one(content):
    with pytest.raises(ValueError, match='c.pth has no config'):
        config_of(content, 'c.pth')

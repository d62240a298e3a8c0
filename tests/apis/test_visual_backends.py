import pytest
from mmengine.config import Config

from mmclip4clip.apis import visual_backends
from mmclip4clip.apis.visual_backends import add_visual_backends


@pytest.fixture(autouse=True)
def _installed(monkeypatch):
    monkeypatch.setattr(visual_backends, 'find_spec', lambda package: object())


def kinds(cfg):
    return [backend['type'] for backend in cfg.visualizer.vis_backends]


@pytest.mark.parametrize(
    'visualizer',
    [
        None,
        dict(type='ActionVisualizer'),
        dict(type='Visualizer', vis_backends=[dict(type='LocalVisBackend')]),
    ],
)
def test_backends_are_added_to_the_local_one(visualizer):
    cfg = Config(dict(visualizer=visualizer))
    add_visual_backends(cfg, tensorboard=True, wandb='shapes')
    assert kinds(cfg) == ['LocalVisBackend', 'TensorboardVisBackend', 'WandbVisBackend']
    assert cfg.visualizer.vis_backends[2].init_kwargs == dict(project='shapes')


def test_a_backend_of_the_config_is_kept():
    own = dict(type='TensorboardVisBackend', save_dir='events')
    cfg = Config(dict(visualizer=dict(type='ActionVisualizer', vis_backends=[own])))
    add_visual_backends(cfg, tensorboard=True)
    assert cfg.visualizer.vis_backends == [own]


def test_without_options_the_config_stays():
    cfg = Config(dict(a=1))
    add_visual_backends(cfg)
    assert 'visualizer' not in cfg


def test_a_missing_package_is_named_with_its_option(monkeypatch):
    monkeypatch.setattr(visual_backends, 'find_spec', lambda package: None)
    with pytest.raises(ImportError, match=r"--wandb needs wandb: pip install 'mmclip4clip\[wandb\]'"):
        add_visual_backends(Config(), wandb='shapes')

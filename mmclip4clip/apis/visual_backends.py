"""Backends of the visualizer that the command line adds to a config."""

from importlib.util import find_spec

from mmengine.config import Config

LOCAL = dict(type='LocalVisBackend')


def add_visual_backends(cfg: Config, tensorboard: bool = False, wandb: str | None = None) -> None:
    """Send losses, metrics and pictures of a run to TensorBoard or Weights & Biases too.

    Args:
        cfg (Config): Config, whose ``visualizer.vis_backends`` gets the backends that it lacks.
        tensorboard (bool): Whether to write event files of TensorBoard to the work dir.
        wandb (str, optional): Project of Weights & Biases.

    Raises:
        ImportError: If the package of a backend is not installed; has the command that installs it.

    Examples:
        >>> cfg = Config(dict(visualizer=dict(type='ActionVisualizer')))
        >>> add_visual_backends(cfg)
        >>> cfg.visualizer
        {'type': 'ActionVisualizer'}
    """
    added: list[dict] = []
    if tensorboard:
        check_installed('tensorboard', '--tensorboard')
        added.append(dict(type='TensorboardVisBackend'))
    if wandb:
        check_installed('wandb', '--wandb')
        added.append(dict(type='WandbVisBackend', init_kwargs=dict(project=wandb)))
    if not added:
        return
    visualizer = cfg.get('visualizer') or dict(type='ActionVisualizer')
    present = list(visualizer.get('vis_backends') or [LOCAL])
    kinds = {backend.get('type') for backend in present}
    backends = present + [backend for backend in added if backend['type'] not in kinds]
    cfg.visualizer = dict(visualizer, vis_backends=backends)


def check_installed(package: str, option: str) -> None:
    """Raise an error before the run if the package of an option is missing."""
    if find_spec(package) is None:
        raise ImportError(f"{option} needs {package}: pip install 'mmclip4clip[{package}]'")

import cv2
import numpy as np
from mmaction.registry import VISBACKENDS
from mmengine.visualization import BaseVisBackend, LocalVisBackend, Visualizer

from mmclip4clip.engine.picture_sending import send_pictures


@VISBACKENDS.register_module()
class KeepingBackend(BaseVisBackend):
    """Keeps what it is given."""

    def __init__(self, save_dir='.') -> None:
        super().__init__(save_dir)
        self.images = []

    @property
    def experiment(self):
        return self

    def _init_env(self) -> None:
        """Need nothing."""

    def add_image(self, name, image, step=0, **kwargs) -> None:
        self.images.append((name, image, step))


def test_pictures_reach_every_backend_but_the_local_one_in_rgb(tmp_path):
    (tmp_path / 'gallery').mkdir()
    picture = np.zeros((4, 6, 3), np.uint8)
    picture[..., 0] = 200  # red
    cv2.imwrite(str(tmp_path / 'gallery/val.png'), picture[..., ::-1])
    visualizer = Visualizer(name='pictures', vis_backends=None)
    keeping = KeepingBackend()
    visualizer._vis_backends = dict(local=LocalVisBackend(str(tmp_path / 'local')), keeping=keeping)
    send_pictures(visualizer, [tmp_path / 'gallery/val.png'], step=3)
    ((name, image, step),) = keeping.images
    assert (name, step) == ('gallery/val', 3) and np.array_equal(image, picture)
    assert not (tmp_path / 'local').exists()

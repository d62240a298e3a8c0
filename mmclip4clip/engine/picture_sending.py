"""Pictures of reports for TensorBoard, W&B and other backends of the visualizer."""

from collections.abc import Iterable
from pathlib import Path

import cv2
from mmengine.visualization import LocalVisBackend, Visualizer


def send_pictures(visualizer: Visualizer, paths: Iterable[Path], step: int) -> None:
    """Send pictures to all backends of a visualizer but the local one, whose folder has them already.

    Args:
        visualizer (Visualizer): The visualizer of a run.
        paths (Iterable[Path]): PNG files, such as ``gallery/test.png``, which is named ``gallery/test``.
        step (int): Step of the pictures, such as the epoch.
    """
    backends = [
        backend for backend in visualizer._vis_backends.values() if not isinstance(backend, LocalVisBackend)
    ]
    if not backends:
        return
    for path in paths:
        bgr = cv2.imread(str(path))
        if bgr is None:
            raise OSError(f'the picture {path} cannot be read')
        image = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
        for backend in backends:
            backend.add_image(f'{path.parent.name}/{path.stem}', image, step=step)

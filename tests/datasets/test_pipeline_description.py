import json

import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.dataset import Compose

from mmclip4clip.datasets.pipeline_description import describe_step


class Scale(BaseTransform):
    def __init__(self, factor, unknown=None):
        self.factor, self.unused = factor, 3

    def transform(self, results):
        return results


class Wrapper(BaseTransform):
    def __init__(self, transforms, mean, table, function, count):
        self.transforms, self.mean, self.table = Compose([]), mean, table
        self.transforms.transforms = transforms
        self.function, self.count = function, count

    def transform(self, results):
        return results


def test_a_transform_is_described_by_its_arguments_as_plain_data():
    step = Wrapper(
        [Scale(2), Scale(0.5)], np.array([1.5, 2]), {1: (3, print), 'x': print}, print, np.int64(4)
    )
    described = describe_step(step)
    assert described == dict(
        type='Wrapper',
        transforms=[dict(type='Scale', factor=2), dict(type='Scale', factor=0.5)],
        mean=[1.5, 2.0],
        table={'1': [3]},  # functions are left out at every depth
        count=4,
    )
    assert json.loads(json.dumps(described)) == described

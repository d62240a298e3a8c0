"""Runs as hooks see them: loops, datasets and a model, without mmengine's runner."""

from types import SimpleNamespace

from mmengine.dataset import BaseDataset
from mmengine.runner.base_loop import BaseLoop


class Loop(BaseLoop):
    """A loop that was built, over a dataset."""

    def __init__(self, dataset, **kwargs):
        self._dataloader = SimpleNamespace(dataset=dataset)
        vars(self).update(kwargs)

    @property
    def dataloader(self):
        return self._dataloader

    def run(self):
        pass


class Captions(BaseDataset):
    """A dataset of captions alone, one item each."""

    def __init__(self, transforms, captions=('a red circle',), caption_mode='all'):
        self.captions, self.caption_mode = captions, caption_mode
        super().__init__(pipeline=transforms)

    def load_data_list(self):
        return [dict(captions=[caption]) for caption in self.captions]


def dataset(transforms, **kwargs):
    return Captions(transforms, **kwargs)


def run(model, train=None, val=None, test=None, bank=None, **config):
    """Put a run together; a bank is that of the evaluation loop."""
    loops = {
        f'_{name}_loop': {} if part is None else Loop(part, query_bank=bank)
        for name, part in dict(train=train, val=val, test=test).items()
    }
    loader = None if train is None else SimpleNamespace(dataset=train)
    return SimpleNamespace(model=model, train_dataloader=loader, _load_from='c.pth', cfg=config, **loops)

from .base import Hit, SegmentRow, SegmentStore, StoreError

__all__ = ['Hit', 'SegmentRow', 'SegmentStore', 'StoreError', 'open_store']


def open_store(url, folder, width):
    raise NotImplementedError

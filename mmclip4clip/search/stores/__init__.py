from .base import Hit, SegmentRow, SegmentStore, StoreError, without_password
from .open import open_store
from .sqlite_store import SQLiteStore

__all__ = ['Hit', 'SQLiteStore', 'SegmentRow', 'SegmentStore', 'StoreError', 'open_store', 'without_password']

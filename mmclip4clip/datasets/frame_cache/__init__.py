"""Cache of decoded frames on disk, with checksums."""

from .entry import DamagedEntryError, pack_entry, read_entry
from .quota import DiskQuota
from .store import FrameStore

__all__ = ['DamagedEntryError', 'DiskQuota', 'FrameStore', 'pack_entry', 'read_entry']

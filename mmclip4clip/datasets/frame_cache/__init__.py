"""Decoded frames on disk, where nothing is taken for frames unchecked."""

from .entry import DamagedEntryError, pack_entry, read_entry
from .quota import DiskQuota
from .store import FrameStore

__all__ = ['DamagedEntryError', 'DiskQuota', 'FrameStore', 'pack_entry', 'read_entry']

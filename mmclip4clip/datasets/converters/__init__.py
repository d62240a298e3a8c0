"""From official annotation files to the project's JSON; ``tools/dataset_converters/convert.py`` runs it."""
from . import activitynet, didemo, howto100m, lsmdc, msrvtt, msvd, own
from .captions import Captions, Split
from .conversion import convert
from .report import Report, format_reports

# Name -> a function from the official files to the splits that they make.
CONVERTERS = dict(
    msrvtt=msrvtt.splits,
    msvd=msvd.splits,
    lsmdc=lsmdc.splits,
    activitynet=activitynet.splits,
    didemo=didemo.splits,
    howto100m=howto100m.splits,
    csv=own.table_splits,
    folder=own.folder_splits)

__all__ = ['CONVERTERS', 'Captions', 'Report', 'Split', 'convert', 'format_reports']

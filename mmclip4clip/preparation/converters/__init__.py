"""From official annotation files to the project's JSON; ``tools/dataset_converters/convert.py`` runs it."""

from . import activitynet, custom, didemo, howto100m, lsmdc, msrvtt, msvd
from .report import Report, format_reports
from .split import Captions, Split
from .write_annotations import convert

# Name -> a function from the official files to the splits that they make.
CONVERTERS = dict(
    msrvtt=msrvtt.splits,
    msvd=msvd.splits,
    lsmdc=lsmdc.splits,
    activitynet=activitynet.splits,
    didemo=didemo.splits,
    howto100m=howto100m.splits,
    csv=custom.table_splits,
    folder=custom.folder_splits,
)

__all__ = ['CONVERTERS', 'Captions', 'Report', 'Split', 'convert', 'format_reports']

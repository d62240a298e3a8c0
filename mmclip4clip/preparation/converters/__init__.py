"""Convert official annotations to JSON, as ``tools/dataset_converters/convert.py`` does."""

from . import activitynet, custom, didemo, howto100m, lsmdc, msrvtt, msvd
from .report import Report, format_reports
from .split import Captions, Split
from .write_annotations import convert

# Functions that list the splits of a dataset, by its name.
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

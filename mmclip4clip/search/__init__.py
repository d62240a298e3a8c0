from .answers import Answer, Filter, FrameScore, Reasons, WordMatch
from .feature_layout import FeatureLayout
from .index import VideoIndex
from .index_settings import IndexMismatchError
from .index_update import IndexInUseError, UpdateReport
from .queries import QueryError, Term, parse_query
from .reranking import score_stored
from .segments import FixedWindows, Segment, Shots, WholeVideos
from .shortlist_vectors import text_vectors, video_vectors
from .stored_features import pack_features, unpack_features
from .stores import StoreError, open_store

__all__ = [
    'Answer',
    'FeatureLayout',
    'Filter',
    'FixedWindows',
    'FrameScore',
    'IndexInUseError',
    'IndexMismatchError',
    'QueryError',
    'Reasons',
    'Segment',
    'Shots',
    'StoreError',
    'Term',
    'UpdateReport',
    'VideoIndex',
    'WordMatch',
    'WholeVideos',
    'open_store',
    'pack_features',
    'parse_query',
    'score_stored',
    'text_vectors',
    'unpack_features',
    'video_vectors',
]

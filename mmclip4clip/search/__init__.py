from .answers import Answer, Filter
from .feature_layout import FeatureLayout
from .queries import QueryError, Term, parse_query
from .reranking import score_stored
from .segments import FixedWindows, Segment, Shots, WholeVideos
from .shortlist_vectors import text_vectors, video_vectors
from .stored_features import pack_features, unpack_features

__all__ = [
    'Answer',
    'FeatureLayout',
    'Filter',
    'FixedWindows',
    'QueryError',
    'Segment',
    'Shots',
    'Term',
    'WholeVideos',
    'pack_features',
    'parse_query',
    'score_stored',
    'text_vectors',
    'unpack_features',
    'video_vectors',
]

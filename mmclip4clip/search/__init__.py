from .answers import Answer, Filter
from .feature_layout import FeatureLayout
from .fitted_vectors import FittedVectors
from .queries import QueryError, Term, parse_query
from .random_captions import random_captions
from .reranking import score_stored
from .segments import FixedWindows, Segment, Shots, WholeVideos
from .shortlist_vectors import text_vectors, video_vectors
from .stored_features import pack_features, unpack_features

__all__ = [
    'Answer',
    'FeatureLayout',
    'Filter',
    'FittedVectors',
    'FixedWindows',
    'QueryError',
    'Segment',
    'Shots',
    'Term',
    'WholeVideos',
    'pack_features',
    'parse_query',
    'random_captions',
    'score_stored',
    'text_vectors',
    'unpack_features',
    'video_vectors',
]

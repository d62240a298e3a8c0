from typing import TYPE_CHECKING

from ..lazy_exports import lazy_exports

if TYPE_CHECKING:
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
    'WholeVideos',
    'WordMatch',
    'open_store',
    'pack_features',
    'parse_query',
    'score_stored',
    'text_vectors',
    'unpack_features',
    'video_vectors',
]

__getattr__ = lazy_exports(
    __name__,
    dict(
        answers=['Answer', 'Filter', 'FrameScore', 'Reasons', 'WordMatch'],
        feature_layout=['FeatureLayout'],
        index=['VideoIndex'],
        index_settings=['IndexMismatchError'],
        index_update=['IndexInUseError', 'UpdateReport'],
        queries=['QueryError', 'Term', 'parse_query'],
        reranking=['score_stored'],
        segments=['FixedWindows', 'Segment', 'Shots', 'WholeVideos'],
        shortlist_vectors=['text_vectors', 'video_vectors'],
        stored_features=['pack_features', 'unpack_features'],
        stores=['StoreError', 'open_store'],
    ),
)

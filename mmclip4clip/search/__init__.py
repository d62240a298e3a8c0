from .answers import Answer, Filter
from .queries import QueryError, Term, parse_query

__all__ = ['Answer', 'Filter', 'QueryError', 'Term', 'parse_query']

"""Filters as conditions of SQL."""

from ..answers import Filter


def condition_of(where: Filter, mark: str = '?', filename: str = 'filename') -> str:
    """Return the condition of a filter, to append to another one.

    Args:
        where (Filter): The filter.
        mark (str): Placeholder of a value.
        filename (str): The column of the path, which must be compared by its characters.

    Examples:
        >>> condition_of(Filter(min_duration=5))
        ' AND duration >= ?'
    """
    parts = dict(
        folder=f' AND {filename} > {mark} AND {filename} < {mark}',
        min_duration=f' AND duration >= {mark}',
        max_duration=f' AND duration <= {mark}',
    )
    return ''.join(text for key, text in parts.items() if getattr(where, key) is not None)


def values_of(where: Filter) -> list:
    """Return the values for the placeholders of :func:`condition_of`.

    Examples:
        >>> values_of(Filter('/videos', max_duration=9))
        ['/videos/', '/videos0', 9]
    """
    values: list = []
    if where.folder is not None:
        below = where.folder.rstrip('/') + '/'
        values += [below, below[:-1] + '0']  # '0' is the character after '/'
    return values + [value for value in (where.min_duration, where.max_duration) if value is not None]

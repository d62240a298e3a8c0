"""Pages of one ranking: no answer twice and none left out, whatever the head and the store."""

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...search.answers import Answer
from ...search.index import VideoIndex
from ...search.queries import Term

FIRST, GROWTH = 101, 10  # answers of the first search for a query, and how much longer the next one is
KEPT_ANSWERS = 50_000  # of all rankings


@dataclass
class Ranking:
    """The answers to a query so far, best first.

    Args:
        state (int): Of the catalog when they were found.
        answers (list[Answer]): The answers.
        depth (int): Number of answers that the last search was for.
        complete (bool): Whether there are no more.

    Examples:
        >>> Ranking(1).complete
        False
    """

    state: int
    answers: list[Answer] = field(default_factory=list)
    depth: int = 0
    complete: bool = False


class Rankings:
    """Extends the rankings of queries page by page, and keeps those of the last queries.

    A longer search is not always an extension of a shorter one: a head such as WTI compares a longer
    shortlist, and an approximate store more candidates. So pages are cut from one list, to which each longer
    search adds what is not in it. The lengths of the searches do not depend on the pages that were asked for.
    With an exact store and a head that compares one vector, the list is that of a single long search.

    It belongs to the thread of the index.

    Args:
        index (VideoIndex): The index.
        depth (int): Number of the last answer.

    Examples:
        >>> rankings = Rankings(index, depth=1000)  # doctest: +SKIP
        >>> answers, more = rankings.page('key', query, {}, offset=20, top=10)  # doctest: +SKIP
    """

    def __init__(self, index: VideoIndex, depth: int) -> None:
        self.index, self.depth = index, depth
        self._kept: OrderedDict[Hashable, Ranking] = OrderedDict()

    def page(
        self,
        key: Hashable,
        query: Sequence[Term],
        options: dict[str, Any],
        offset: int,
        top: int,
        leave_out: str | None = None,
    ) -> tuple[list[Answer], bool]:
        """Return some answers, and whether there are more.

        The first page is of the index as it is now; the next ones belong to the same ranking as long as it is
        kept.

        Args:
            key (Hashable): What determines the ranking.
            query (Sequence[Term]): The query.
            options (dict): Of :meth:`VideoIndex.search`, without ``top``.
            offset (int): Number of answers before the page.
            top (int): Number of answers of the page.
            leave_out (str, optional): A file that is no answer.
        """
        state = self.index.catalog.state()
        ranking = self._kept.pop(key, None)
        if ranking is None or offset == 0 and ranking.state != state:
            ranking = Ranking(state)
        wanted = min(offset + top, self.depth)
        while len(ranking.answers) <= wanted and not ranking.complete:
            self._extend(ranking, query, options, leave_out)
        self._keep(key, ranking)
        return ranking.answers[offset:wanted], len(ranking.answers) > wanted and wanted < self.depth

    def _extend(
        self, ranking: Ranking, query: Sequence[Term], options: dict[str, Any], leave_out: str | None
    ) -> None:
        depth = FIRST if not ranking.depth else min(ranking.depth * GROWTH, self.depth + 1)
        found = self.index.search(query, top=depth, **options)
        place = (
            (lambda answer: answer[1:4]) if options.get('all_moments') else (lambda answer: answer.filename)
        )
        known = {place(answer) for answer in ranking.answers}
        new = [answer for answer in found if answer.filename != leave_out and place(answer) not in known]
        ranking.answers += new
        ranking.complete = len(found) < depth or depth > self.depth
        ranking.depth = depth

    def _keep(self, key: Hashable, ranking: Ranking) -> None:
        self._kept[key] = ranking
        total = sum(len(kept.answers) for kept in self._kept.values())
        while total > KEPT_ANSWERS and len(self._kept) > 1:
            total -= len(self._kept.popitem(last=False)[1].answers)
        while len(self._kept) > 200:  # also of queries without an answer
            self._kept.popitem(last=False)

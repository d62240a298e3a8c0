import os
import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import closing, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, cast

from ...search.answers import Answer, Filter, Reasons
from ...search.index import VideoIndex
from ...search.queries import QueryError, Term, parse_query
from ...visualization.moments import describe_moment
from ...visualization.score_bars import describe_reasons, score_range
from .. import video_index
from .expected_errors import EXPECTED, report_error
from .printing import Printer, Row

if TYPE_CHECKING:
    from ..search_model import SearchModel

PROMPT = 'search> '


def run_search(args: Namespace, printer: Printer) -> int:
    """Answer the query of the command line, or those of the standard input, one a line.

    Raises:
        QueryError: If the query of the command line is faulty.
        FileNotFoundError: If there is no index.
    """
    query = parse_query(args.words) if args.words else None  # faults first: to open an index takes seconds
    with closing(open_index(args)) as index:
        if query is not None:
            answer_query(index, query, ' '.join(args.words), args, printer)
            return 0
        return answer_lines(index, args, printer)


def run_similar(args: Namespace, printer: Printer) -> int:
    """Find videos that are similar to a video, or to a range of it; the video itself is left out.

    Raises:
        QueryError: If there is no such video.
        FileNotFoundError: If there is no index.
    """
    query = parse_query([args.video])
    if [term.kind for term in query] != ['video']:
        raise QueryError(f'expected a video, by its ending such as .mp4, got {args.video}')
    with closing(open_index(args)) as index:
        answer_query(index, query, args.video, args, printer, leave_out=query[0].value)
    return 0


def open_index(args: Namespace) -> VideoIndex:
    """Open the index after the files of the other arguments are checked."""
    if args.folder is not None and not Path(args.folder).is_dir():
        raise NotADirectoryError(f'--in {args.folder} is not a folder')
    if args.sheet is not None and not Path(args.sheet).absolute().parent.is_dir():
        raise FileNotFoundError(f'--sheet {args.sheet}: there is no such folder')
    return video_index.open_index(args.index, args.model)


def answer_lines(index: VideoIndex, args: Namespace, printer: Printer) -> int:
    """Answer each line of the standard input; a faulty query is reported and the next one is read.

    Returns:
        int: 1 if a query failed that was not typed at a terminal.
    """
    code = 0
    for line in read_lines(printer):
        try:
            answer_query(index, parse_query(line), line, args, printer, is_one_of_many=True)
        except BrokenPipeError:
            raise
        except EXPECTED as error:
            report_error(error)
            code = int(not sys.stdin.isatty())
    return code


def read_lines(printer: Printer) -> Iterator[str]:
    """Yield the lines of the standard input that are not blank, with a prompt at a terminal."""
    is_typed = sys.stdin is not None and sys.stdin.isatty()
    if is_typed:
        import readline  # noqa: F401  lets input() edit lines
    while True:
        try:
            if is_typed:
                # At a terminal input() edits lines; the prompt does not follow answers that go elsewhere.
                with redirect_stdout(printer.stream if printer.stream.isatty() else sys.stderr):
                    line = input(PROMPT)
            else:
                line = next(sys.stdin or iter(()))
        except (EOFError, StopIteration):
            return
        if line.strip():
            yield line.strip()


def answer_query(
    index: VideoIndex,
    query: Sequence[Term],
    typed: str,
    args: Namespace,
    printer: Printer,
    leave_out: str | None = None,
    is_one_of_many: bool = False,
) -> None:
    """Search, print the answers, and write the contact sheet.

    Args:
        index (VideoIndex): The index.
        query (Sequence[Term]): The query.
        typed (str): The query as it was typed.
        args (Namespace): The arguments.
        printer (Printer): Prints the answers.
        leave_out (str, optional): A file that is no answer.
        is_one_of_many (bool): Whether text starts with a column of the query.
    """
    answers = find_answers(index, query, args, leave_out)
    rows = [as_row(typed, answer, is_one_of_many and printer.form == 'text') for answer in answers]
    reasons = find_reasons(index, query, answers) if args.why else None
    if reasons is not None:
        rows = add_reasons(rows, reasons)
    printer.print_rows(rows, title=typed)
    if not answers:
        print(f'no video answers {typed}', file=sys.stderr)
    if args.sheet is not None:
        from ...visualization.contact_sheet import write_contact_sheet  # imports matplotlib

        write_contact_sheet(args.sheet, answers, typed, reasons)


def find_answers(
    index: VideoIndex, query: Sequence[Term], args: Namespace, leave_out: str | None
) -> list[Answer]:
    """Search for so many answers that enough are left without those of a file."""
    folder = None if args.folder is None else os.path.realpath(args.folder)
    where = Filter(folder, args.min_duration, args.max_duration)
    options = dict(where=where, whole=args.whole, all_moments=args.all_moments, shortlist=args.shortlist)
    if leave_out is None:
        return index.search(query, top=args.top, **options)
    hidden, top = os.path.realpath(leave_out), args.top + 1
    while True:
        found = index.search(query, top=top, **options)
        kept = [answer for answer in found if os.path.realpath(answer.filename) != hidden]
        if len(kept) >= args.top or len(found) < top:
            return kept[: args.top]
        top *= 2


def as_row(typed: str, answer: Answer, with_query: bool) -> Row:
    """Return the row of an answer.

    Args:
        typed (str): The query.
        answer (Answer): The answer.
        with_query (bool): Whether the text begins with the query.
    """
    fields = dict(
        query=typed,
        score=float(answer.score),
        file=answer.filename,
        start=answer.start,
        end=answer.end,
        duration=answer.duration,
    )
    cells = dict(query=typed) if with_query else {}
    cells |= dict(score=f'{answer.score:.3f}', file=answer.filename, moment=describe_moment(answer))
    return Row(fields, cells)


def find_reasons(index: VideoIndex, query: Sequence[Term], answers: Sequence[Answer]) -> list[Reasons | None]:
    """Explain the score of each answer; None for a file that cannot be read any more.

    Raises:
        QueryError: If the model is an exported one, which has no frames to explain.
    """
    if not getattr(index.model, 'explains', True):
        raise QueryError(
            f'--why needs the checkpoint of the index, got {index.model.identity.name}, an exported model: '
            'give --model CHECKPOINT'
        )
    from ..reasons import explain_videos  # imports torch

    moments = [(answer.filename, answer.start, answer.end) for answer in answers]
    return list(explain_videos(cast('SearchModel', index.model), query, moments))


def add_reasons(rows: Sequence[Row], reasons: Sequence[Reasons | None]) -> list[Row]:
    """Add the reasons of each answer to its row, and for people a line with bars."""
    limits, explained = score_range(reasons), []
    for row, found in zip(rows, reasons, strict=True):
        fields = dict(row.fields, why=None if found is None else found.as_json())
        explained.append(Row(fields, row.cells, '' if found is None else describe_reasons(found, limits)))
    return explained

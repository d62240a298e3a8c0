from argparse import Namespace
from pathlib import Path

from ...search.index_settings import read_settings
from ..model_choice import load
from ..video_index import default_index
from ..video_inputs import files_in, read_videos
from .printing import Printer, Row


def run_caption(args: Namespace, printer: Printer) -> int:
    """Print a caption for each video, batch by batch; unreadable ones are warnings.

    Raises:
        TypeError: If the model writes no captions.
        VideoReadError: At the end, if no video could be read.
    """
    files = [file for name in args.videos for file in (files_in(name) if Path(name).is_dir() else [name])]
    videos = read_videos(files)
    model = load(args.model or model_of_index(Path(args.index or default_index())))
    model.check_captioner()
    if printer.form == 'table':
        printer.form = 'text'  # lines come batch by batch
    quiet = False if printer.stream.isatty() else None  # a progress bar would run through the lines
    for batch in model.run(videos, False, True, args.batch_size, args.workers, quiet):
        found = zip(batch.positions, batch.captions or ())
        rows = [dict(file=videos[position].name, caption=caption) for position, caption in found]
        printer.print_rows([Row(row, row) for row in rows])
    return 0


def model_of_index(folder: Path) -> str:
    """Return the name of the model that made an index."""
    try:
        return read_settings(folder).model.name
    except FileNotFoundError as error:
        raise ValueError(
            f'--model CHECKPOINT is needed: there is no index at {folder} to take it from'
        ) from error

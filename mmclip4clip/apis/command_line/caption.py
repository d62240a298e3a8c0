from argparse import Namespace
from contextlib import closing
from pathlib import Path

from ..model_loading import load
from ..video_inputs import files_in, read_videos
from .index_location import find_index, has_index
from .printing import Printer, Row


def run_caption(args: Namespace, printer: Printer) -> int:
    """Print a caption for each video, batch by batch; unreadable ones are warnings.

    Raises:
        TypeError: If the model writes no captions.
        VideoReadError: At the end, if no video could be read.
    """
    files = [file for name in args.videos for file in (files_in(name) if Path(name).is_dir() else [name])]
    videos = read_videos(files)
    model = load(args.model or model_of_index(find_index(args.index)))
    model.check_captioner()
    if printer.form == 'table':
        printer.form = 'text'  # lines come batch by batch
    quiet = False if printer.stream.isatty() else None  # a progress bar would run through the lines
    for batch in model.run(videos, False, True, args.batch_size, args.workers, quiet):
        found = zip(batch.positions, batch.captions or ())
        rows = [dict(file=videos[position].name, caption=caption) for position, caption in found]
        printer.print_rows([Row(row, row) for row in rows])
    return 0


def model_of_index(path: Path) -> str:
    """Return the model that made an index."""
    if not has_index(path):
        raise ValueError(
            f'--model CHECKPOINT is needed: there is no index at {path} whose model could be used'
        )
    from ...search.index import VideoIndex

    with closing(VideoIndex.open(path)) as index:
        return index.settings.model

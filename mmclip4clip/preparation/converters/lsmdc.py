from pathlib import Path

from .source_files import FormatError, read_lines
from .split import Captions, Split

FORM = 'clip name, start aligned, end aligned, start extracted, end extracted, sentence, separated by tabs'


def splits(folder: Path) -> list[Split]:
    """LSMDC: LSMDC16_annos_training.csv, _annos_val.csv and _challenge_1000_publictect.csv.

    The file names are those of the publisher. Clip names contain dots but no suffix, such as
    ``0001_American_Beauty_00.00.51.926-00.00.54.129``. Some training clips have several sentences.

    Examples:
        >>> [(split.name, split.captions) for split in splits(Path('LSMDC'))]
        [('train', 101079), ('val', 7408), ('test', 1000)]
    """
    return [
        Split('train', (folder / 'LSMDC16_annos_training.csv',), read, captions=101079),
        Split('val', (folder / 'LSMDC16_annos_val.csv',), read, captions=7408),
        Split('test', (folder / 'LSMDC16_challenge_1000_publictect.csv',), read, 1000, 1000),
    ]


def read(path: Path) -> Captions:
    """Read clip name and sentence of each line; times are not read, because each clip is a file.

    Raises:
        FormatError: If a line does not have six columns.
    """
    captions = Captions()
    for line in read_lines(path):
        columns = line.split('\t')
        if len(columns) != 6:
            raise FormatError(f'{path} is not of the form {FORM}: {len(columns)} columns in {line[:80]!r}')
        captions.add(columns[0].strip(), columns[5])
    return captions

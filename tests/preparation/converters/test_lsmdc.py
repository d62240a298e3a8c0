import pytest

from mmclip4clip.preparation.converters import convert
from mmclip4clip.preparation.converters.lsmdc import read, splits

CLIP = '0001_American_Beauty_00.00.51.926-00.00.54.129'
OTHER = '1004_Juno_00.32.43.459-00.32.45.480'


def line(clip, sentence):
    return f'{clip}\t00.00.51.926\t00.00.54.129\t00.00.51.926\t00.00.54.129\t{sentence}\n'


def test_sentences_of_one_clip_are_gathered_and_quotes_are_plain_text(tmp_path):
    path = tmp_path / 'a.csv'
    path.write_text(
        line(CLIP, 'SOMEONE says, "Hi.') + line(OTHER, 'It\'s "over".') + line(CLIP, 'SOMEONE nods.')
    )
    captions = read(path)
    assert captions.entries == [
        dict(video=CLIP, captions=['SOMEONE says, "Hi.', 'SOMEONE nods.']),
        dict(video=OTHER, captions=['It\'s "over".']),
    ]


def test_dotted_names_are_found_in_the_folders_of_the_movies(tmp_path):
    (tmp_path / 'LSMDC16_challenge_1000_publictect.csv').write_text(line(CLIP, 'x') + line(OTHER, 'y'))
    movie = tmp_path / 'videos/0001_American_Beauty'
    movie.mkdir(parents=True)
    (movie / f'{CLIP}.avi').touch()
    *_, test = convert(splits(tmp_path), tmp_path / 'out', tmp_path / 'videos')
    assert test.entries == [dict(video=f'0001_American_Beauty/{CLIP}.avi', captions=['x'])]
    assert (tmp_path / 'out/test_missing.txt').read_text() == f'{OTHER}\n'
    assert not (tmp_path / 'out/train.json').exists()


@pytest.mark.parametrize(
    'content', ['video_id,sentence\nvideo0,x\n', 'a\tb\tc\td\te\tf\tg\n', line('a', 'x') + 'b\ty\n']
)
def test_other_columns_are_refused(tmp_path, content):
    (tmp_path / 'a.csv').write_text(content)
    with pytest.raises(ValueError, match=r'a.csv is not of the form clip name.*: \d columns in '):
        read(tmp_path / 'a.csv')

import csv
import io
import json
import os
import signal

import pytest

from mmclip4clip.apis.command_line import search
from mmclip4clip.apis.command_line.printing import Printer
from mmclip4clip.search.answers import Answer, Filter, FrameScore, Reasons, WordMatch
from mmclip4clip.search.queries import Term

from ...videos import at_rate, write_frames

TEXT = [Term(1.0, 'text', 'a dog')]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_piped_answers_are_columns_of_score_file_and_moment(run, index, folder):
    done = run('search', 'a', 'dog')
    assert done.code == 0 and done.err == ''
    assert done.out == '0.900\t/videos/a dog.mp4\t1:02.5-1:12.5\n0.250\t/videos/b\\t[red].mp4\twhole\n'
    assert index.calls == [
        ('open', None, None),
        ('search', TEXT, 10, Filter(), False, False),
        ('close',),
    ]


def test_json_lines_have_plain_seconds(run, index):
    found = [json.loads(line) for line in run('search', 'a dog', '--json').out.splitlines()]
    assert found[0] == dict(
        query='a dog', score=0.9, file='/videos/a dog.mp4', start=62.5, end=72.5, duration=80.0
    )
    assert found[1]['start'] is None and found[1]['file'] == '/videos/b\t[red].mp4'


def test_csv_has_one_header_for_all_queries(run, index):
    done = run('search', '--csv', typed='a dog\na "cat, black"\n')
    rows = list(csv.DictReader(io.StringIO(done.out)))
    assert [row['query'] for row in rows] == ['a dog', 'a dog', 'a "cat, black"', 'a "cat, black"']
    assert rows[0]['start'] == '62.5' and rows[1]['start'] == '' and rows[1]['file'] == '/videos/b\t[red].mp4'


def test_a_terminal_gets_a_table_without_markup_of_file_names(index, monkeypatch):
    monkeypatch.setenv('COLUMNS', '100')
    stream = Terminal()
    rows = [search.as_row('[bold]', answer, False) for answer in index.answers]
    Printer(stream).print_rows(rows, title='[bold] \x1b[31m')
    shown = stream.getvalue()
    assert '1:02.5-1:12.5' in shown and 'b\\t[red].mp4' in shown and 'score' in shown and '┃' in shown
    assert '[bold] \\x1b[31m' in shown


def test_options_reach_the_search(run, index, folder):
    link = folder / 'link'
    link.symlink_to(folder / 'videos')
    run('search', '0.5*a dog', '-', 'person.jpg', '--top', 3, '--whole', '--in', 'link', '--min-duration', 2,
        '--max-duration', '2.5', '--model', 'moved.pth', '--index', 'index')  # fmt: skip
    query = [Term(0.5, 'text', 'a dog'), Term(-1.0, 'image', 'person.jpg')]
    assert index.calls[0][1:] == ('index', 'moved.pth')
    assert index.calls[1] == ('search', query, 3, Filter(str(folder / 'videos'), 2, 2.5), True, False)
    run('search', 'a dog', '--all-moments')
    assert index.calls[-2][-1] is True


def test_similar_leaves_the_video_itself_out_and_still_gives_as_many(run, index, folder):
    moments = [Answer(0.99 - i / 100, str(folder / 'clip.mp4'), i, i + 1, 9.0) for i in range(5)]
    others = [Answer(0.5 - i / 100, f'/v{i}.mp4', 0.0, 1.0, 9.0) for i in range(5)]
    index.answers = moments + others
    done = run('similar', 'clip.mp4@1:02-1:12', '--top', 2, '--all-moments')
    assert [line.split('\t')[1] for line in done.out.splitlines()] == ['/v0.mp4', '/v1.mp4']
    assert index.calls[1][1] == [Term(1.0, 'video', 'clip.mp4', 62.0, 72.0)]
    assert len(run('similar', 'clip.mp4', '--top', 50).out.splitlines()) == 5


@pytest.mark.parametrize('what', ['person.jpg', 'a dog', 'nothing.mp4'])
def test_similar_takes_videos_only(run, index, what):
    done = run('similar', what)
    assert done.code == 1 and done.err.startswith('mmclip4clip: error: ') and done.err.count('\n') == 1
    assert index.calls == []


def test_a_faulty_query_is_one_line_before_the_index_is_opened(run, index):
    done = run('search', 'nobody.jpg')
    assert done.code == 1 and done.out == '' and index.calls == []
    assert done.err == "mmclip4clip: error: unknown query image: 'nobody.jpg' does not exist\n"


def test_lines_are_answered_with_one_index_and_a_faulty_one_is_reported(run, index):
    done = run('search', typed='a dog\n\n  \nnobody.jpg\n"a beach" + at night\n')
    assert [line.split('\t')[0] for line in done.out.splitlines()] == ['a dog'] * 2 + [
        '"a beach" + at night'
    ] * 2
    assert done.code == 1 and done.err.count('\n') == 1 and 'nobody.jpg' in done.err
    assert [call[0] for call in index.calls] == ['open', 'search', 'search', 'close']
    assert run('search', typed='a dog').code == 0


def test_a_search_that_fails_does_not_end_the_others(run, index):
    index.fault = ConnectionError('the store does not answer')
    done = run('search', typed='a dog\na cat\n')
    assert done.code == 1 and done.err == 'mmclip4clip: error: the store does not answer\n' * 2


def test_queries_are_typed_at_a_prompt_on_a_terminal(index, folder, monkeypatch, capsys):
    typed, prompts = iter(['a dog', 'nobody.jpg', '']), []
    terminal = Terminal()
    monkeypatch.setattr('sys.stdin', Terminal())

    def answer(prompt):
        prompts.append(prompt)
        try:
            return next(typed)
        except StopIteration:
            raise EOFError from None

    monkeypatch.setattr('builtins.input', answer)
    args = search.Namespace(
        index=None, model=None, words=[], top=10, whole=False, all_moments=False, folder=None,
        min_duration=None, max_duration=None, sheet=None, shortlist=200, why=False,
    )  # fmt: skip
    assert search.run_search(args, Printer(terminal)) == 0
    assert (
        len(prompts) == 4 and 'a dog.mp4' in terminal.getvalue() and 'nobody.jpg' in capsys.readouterr().err
    )


def test_no_answers_are_said_on_stderr(run, index):
    index.answers = []
    done = run('search', 'a dog')
    assert (done.code, done.out, done.err) == (0, '', 'no video answers a dog\n')


@pytest.mark.parametrize(
    'args, message',
    [
        (['--in', 'nowhere'], '--in nowhere is not a folder'),
        (['--sheet', 'nowhere/s.png'], 'there is no such folder'),
    ],
)
def test_faulty_places_are_named_before_a_model_is_loaded(run, index, args, message):
    done = run('search', 'a dog', *args)
    assert done.code == 1 and message in done.err and done.err.count('\n') == 1 and index.calls == []


def test_a_search_without_an_index_says_how_to_make_one(run, folder):
    (folder / 'empty').mkdir()
    for name in ('empty', 'nowhere'):
        done = run('search', 'a dog', '--index', name)
        assert done.code == 1 and done.err.count('\n') == 1
        assert f'there is no index at {name}' in done.err and 'mmclip4clip index FOLDER' in done.err


def test_a_sheet_shows_the_answers(run, index, folder):
    clip = write_frames(folder / 'clip.mp4', at_rate(10, 20))
    index.answers = [Answer(0.9, str(clip), 0.5, 1.5, 2.0)]
    assert run('search', 'a dog', '--sheet', 'sheet.html').code == 0
    page = (folder / 'sheet.html').read_text()
    assert '<h1>a dog</h1>' in page and f'{clip.as_uri()}#t=0.5,1.5' in page and 'data:image/jpeg' in page
    assert run('search', 'a dog', '--sheet', 'sheet.png').code == 0 and (folder / 'sheet.png').exists()


def test_a_file_name_that_is_no_text_comes_out_as_it_is(run, index, monkeypatch, folder):
    index.answers = [Answer(0.9, os.fsdecode(b'/\xff.mp4'), 0.5, 1.5, 2.0)]
    output = io.TextIOWrapper(io.BytesIO(), encoding='utf-8')
    monkeypatch.setattr('sys.stdout', output)
    run('search', 'a dog')
    assert output.buffer.getvalue() == b'0.900\t/\xff.mp4\t0:00.5-0:01.5\n'


def test_a_reader_that_goes_away_ends_the_command_quietly(run, index, monkeypatch):
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, 'w') as output:
        monkeypatch.setattr('sys.stdout', output)
        done = run('search', 'a dog')
        assert done.code == 128 + signal.SIGPIPE and done.err == ''


def test_a_full_disk_is_an_error(run, index, monkeypatch):
    with open('/dev/full', 'w') as output:
        monkeypatch.setattr('sys.stdout', output)
        done = run('search', 'a dog')
        assert done.code == 1 and 'No space left' in done.err and done.err.count('\n') == 1


def test_ctrl_c_ends_the_command_quietly(run, index):
    index.fault = KeyboardInterrupt()
    done = run('search', 'a dog')
    assert (done.code, done.out, done.err) == (130, '', '')


def test_faults_of_the_program_have_a_traceback_and_errors_have_one_on_request(run, index):
    index.fault = ValueError('made by another model')
    done = run('search', 'a dog')
    assert done.code == 1 and done.err == 'mmclip4clip: error: made by another model\n'
    assert 'Traceback' in run('--traceback', 'search', 'a dog').err
    index.fault = KeyError('x')
    with pytest.raises(KeyError):
        run('search', 'a dog')


@pytest.fixture
def reasons(monkeypatch):
    """The reasons of the first answer; the second one cannot be read any more."""
    frames = [FrameScore(62.5, 0.2, 0.4), FrameScore(64.0, 0.6, 0.6), FrameScore(70.25, 0.4, 0.0)]
    found = Reasons(0.9, frames, [WordMatch('dog', 1, 0.6, 0.7), WordMatch('<i>', 0, 0.2, 0.3)])
    asked = []

    def explain_videos(model, query, videos):
        asked.append((model, query, videos))
        return iter([found, None][: len(videos)])

    monkeypatch.setattr('mmclip4clip.apis.reasons.explain_videos', explain_videos)
    return found, asked


def test_why_adds_bars_the_best_frame_and_words_to_each_answer(run, index, reasons):
    lines = run('search', 'a dog', '--why').out.splitlines()
    why = '▁█▅ best 1:04 (0.600); dog 1:04, <i> 1:02.5'
    assert lines == [
        f'0.900\t/videos/a dog.mp4\t1:02.5-1:12.5\t{why}',
        '0.250\t/videos/b\\t[red].mp4\twhole',
    ]
    moments = [('/videos/a dog.mp4', 62.5, 72.5), ('/videos/b\t[red].mp4', None, None)]
    assert reasons[1] == [('the model', TEXT, moments)]
    rows = [json.loads(line) for line in run('search', 'a dog', '--why', '--json').out.splitlines()]
    assert rows[0]['why'] == dict(
        score=0.9,
        frames=[dict(time=62.5, score=0.2, weight=0.4), dict(time=64.0, score=0.6, weight=0.6),
                dict(time=70.25, score=0.4, weight=0.0)],
        words=[dict(word='dog', frame=1, score=0.6, weight=0.7),
               dict(word='<i>', frame=0, score=0.2, weight=0.3)],
    )  # fmt: skip
    assert rows[1]['why'] is None
    (first, second) = csv.DictReader(io.StringIO(run('search', 'a dog', '--why', '--csv').out))
    assert json.loads(first['why']) == rows[0]['why'] and second['why'] == ''
    assert 'why' not in json.loads(run('search', 'a dog', '--json').out.splitlines()[0])


def test_why_is_under_the_file_on_a_terminal(index, reasons, monkeypatch):
    monkeypatch.setenv('COLUMNS', '100')
    stream = Terminal()
    rows = [search.as_row('a dog', answer, False) for answer in index.answers]
    Printer(stream).print_rows(search.add_reasons(rows, [reasons[0], None]))
    lines = stream.getvalue().splitlines()
    place = next(number for number, line in enumerate(lines) if 'a dog.mp4' in line)
    assert '▁█▅ best 1:04 (0.600); dog 1:04' in lines[place + 1]


def test_a_sheet_with_why_shows_a_bar_for_each_frame(run, index, reasons, folder):
    clip = write_frames(folder / 'clip.mp4', at_rate(1, 80))
    index.answers = [Answer(0.9, str(clip), 62.5, 72.5, 80.0)]
    assert run('similar', 'videos/a.mp4', '--why', '--sheet', 'sheet.html').code == 0
    page = (folder / 'sheet.html').read_text()
    assert page.count('<rect') == 3 and '1:04: score 0.6000, weight 0.600' in page and '>dog</text>' in page

"""The command as a process, and its arguments."""

import argparse
import json
import os
import re
import subprocess
import sys
from configparser import ConfigParser
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest

from mmclip4clip.command_arguments import build_parser, parse_args
from mmclip4clip.command_start import clear_imports, command_start, is_command

ROOT = Path(__file__).parents[3]
COMMANDS = ('index', 'search', 'similar', 'caption', 'serve', 'doctor')
# Runs the command as the script that pip writes does, and prints the CPU time and whether torch was imported.
SCRIPT = """
import sys, time
sys.argv = ['/venv/bin/mmclip4clip', *sys.argv[1:]]
try:
    from {module} import {name}
    sys.exit({name}())
finally:
    print('CPU', time.process_time(), 'torch' in sys.modules)
"""


def entry_point() -> dict[str, str]:
    config = ConfigParser()
    config.read(ROOT / 'setup.cfg')
    (line,) = config['options.entry_points']['console_scripts'].strip().splitlines()
    return re.fullmatch(r'mmclip4clip = (?P<module>[\w.]+):(?P<name>\w+)', line).groupdict()


def start(*command: str, code: int = 0, **options) -> subprocess.CompletedProcess:
    environment = dict(os.environ, PYTHONPATH=str(ROOT), **options)
    done = subprocess.run([sys.executable, *command], env=environment, capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    return done


@pytest.mark.parametrize('args', [('--help',), *((name, '--help') for name in COMMANDS)])
def test_help_takes_less_than_a_second_of_cpu_and_no_torch(args):
    done = start('-c', SCRIPT.format(**entry_point()), *args)
    assert done.stdout.startswith(f'usage: mmclip4clip {args[0] if args[1:] else "[-h]"}')
    seconds, has_torch = re.search(r'CPU (\S+) (\w+)', done.stdout).groups()
    assert float(seconds) < 1 and has_torch == 'False'


@pytest.mark.parametrize('module', [('-m', 'mmclip4clip'), ('-mmmclip4clip',), ('-Bm', 'mmclip4clip')])
def test_python_m_is_as_fast(module):
    before = os.times()
    done = start(*module, 'search', '--help')
    after = os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    assert done.stdout.startswith('usage: mmclip4clip search') and spent < 1


def test_faulty_arguments_end_with_2_and_a_line():
    done = start('-m', 'mmclip4clip', 'search', 'a dog', '--top', '0', code=2)
    assert 'argument --top: must be at least 1' in done.stderr and done.stdout == ''


def test_the_module_runs_the_command(tmp_path):
    done = start('-m', 'mmclip4clip', 'search', 'a dog', '--index', str(tmp_path / 'none'), code=1)
    error = done.stderr.splitlines()[-1]  # newer versions of Python warn of faults in other packages
    assert error.startswith('mmclip4clip: error: there is no index at') and done.stdout == ''


@pytest.mark.parametrize(
    'argv, started, expected',
    [
        (['/venv/bin/mmclip4clip', 'search'], [], True),
        (['mmclip4clip.exe'], [], True),
        (['-m', 'search', 'dog'], ['python', '-W', 'ignore', '-m', 'mmclip4clip', 'search', 'dog'], True),
        (['-m'], ['python', '-Immmclip4clip'], True),
        (['-m', '-m', 'mmclip4clip'], ['python', '-m', 'pytest', '-m', 'mmclip4clip'], False),
        (['-m'], ['python', '-m', 'mmclip4clip.version'], False),
        (['mmclip4clip.py'], [], False),
        (['train.py', 'mmclip4clip'], [], False),
        ([], [], False),
    ],
)
def test_only_the_command_is_taken_for_it(argv, started, expected, monkeypatch):
    monkeypatch.setattr(sys, 'argv', argv)
    monkeypatch.setattr(sys, 'orig_argv', started)
    assert is_command() is expected


def test_other_processes_parse_nothing(monkeypatch):
    monkeypatch.setattr(sys, 'argv', ['train.py', '--help'])
    with command_start():
        pass
    monkeypatch.setattr(sys, 'argv', ['mmclip4clip', '--help'])
    with pytest.raises(SystemExit), command_start():
        pytest.fail('the imports began')


@pytest.mark.parametrize('command', ['search', 'doctor'])
def test_an_import_that_fails_or_is_interrupted_is_a_message(command, capsys):
    args = parse_args([command])
    with pytest.raises(SystemExit) as ended, clear_imports(args):
        raise ImportError('pip install torch')
    printed = capsys.readouterr()
    assert ended.value.code == 1 and 'pip install torch' in (
        printed.out if command == 'doctor' else printed.err
    )
    with pytest.raises(SystemExit) as ended, clear_imports(args):
        raise KeyboardInterrupt
    assert ended.value.code == 130 and capsys.readouterr().err == ''
    with pytest.raises(ImportError), clear_imports(parse_args(['--traceback', command])):
        raise ImportError('pip install torch')


def parsers(parser: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    (commands,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    return [parser, *commands.choices.values()]


def test_every_option_has_a_help_text_with_its_default():
    found = parsers(build_parser())
    assert [parser.prog for parser in found[1:]] == [f'mmclip4clip {name}' for name in COMMANDS]
    for parser in found:
        for action in parser._actions:
            assert action.help, f'{parser.prog}: {action.dest}'
            if action.option_strings and not isinstance(action, argparse._HelpAction):
                shown = parser._get_formatter()._expand_help(action)
                assert '(default: ' in shown, f'{parser.prog}: {action.dest}'
                if action.default not in (None, False):
                    assert f'(default: {action.default})' in shown


@pytest.mark.parametrize(
    'args',
    [
        [],
        ['find', 'a dog'],
        ['index'],
        ['index', 'x', '--shots', '--whole'],
        ['index', 'x', '--shots', '--window', '5'],
        ['index', 'x', '--whole', '--stride', '5'],
        ['index', 'x', '--window', '5', '--stride', '6'],
        ['index', 'x', '--window', '0'],
        ['index', 'x', '--window', 'nan'],
        ['index', 'x', '--workers', '-1'],
        ['search', 'x', '--json', '--csv'],
        ['search', 'x', '--whole', '--all-moments'],
        ['search', 'x', '--top', '1.5'],
        ['search', 'x', '--min-duration', '-1'],
        ['search', 'x', '--max-duration', 'inf'],
        ['search', 'x', '--min-duration', '5', '--max-duration', '4'],
        ['search', 'x', '--sheet', 'a.pdf'],
        ['similar'],
        ['similar', 'a.mp4', 'b.mp4'],
        ['caption'],
    ],
)
def test_faulty_arguments_are_refused(args, capsys):
    with pytest.raises(SystemExit) as ended:
        parse_args(args)
    assert ended.value.code == 2 and 'error: ' in capsys.readouterr().err


def test_operators_are_words_and_options_may_follow():
    args = parse_args(['search', 'a beach', '+', 'at night', '-', 'person.jpg', '--top', '3'])
    assert args.words == ['a beach', '+', 'at night', '-', 'person.jpg'] and args.top == 3


def test_the_entry_point_is_the_function_of_the_module():
    found = entry_point()
    assert callable(getattr(import_module(found['module']), found['name']))


def test_the_doctor_is_that_of_the_tool(run, monkeypatch):
    finding = SimpleNamespace(seen=[])
    from mmclip4clip.apis.doctor import Finding

    def examine(folder, network):
        print('a log')
        finding.seen.append((folder, network))
        return [Finding('torch', 'problem', 'too old', 'pip install torch')]

    monkeypatch.setattr('mmclip4clip.apis.doctor.examine', examine)
    done = run('doctor', '--json', '--network', '--folder', 'x')
    assert done.code == 1 and json.loads(done.out)['problems'] and done.err == 'a log\n'
    assert finding.seen == [('x', True)]
    assert 'problem  torch  too old' in run('doctor').out

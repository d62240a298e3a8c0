"""The options of all tools, and the time that ``--help`` takes."""

import argparse
import os
import runpy
import subprocess
import sys

import pytest

from mmclip4clip.apis import add_common_arguments
from mmclip4clip.checkpoints import KINDS
from mmclip4clip.checkpoints.description import REFERENCE_HEADS
from mmclip4clip.preparation.converters import CONVERTERS

from .conftest import ROOT

RENAMED = 'analysis_tools/summarise_runs.py'  # runs summarize_runs.py
PARTS = {  # of other tools
    f'analysis_tools/{name}.py'
    for name in (
        'contenders',
        'loading_contenders',
        'testing_contenders',
        'training_contenders',
        'vector_store_candidates',
    )
}
TOOLS = sorted({str(path.relative_to(ROOT / 'tools')) for path in (ROOT / 'tools').rglob('*.py')} - PARTS)
# Fails if a tool imports torch, and prints its CPU time in seconds.
TIMED = """
import os, runpy, sys, time
try:
    runpy.run_path(sys.argv[0], run_name='__main__')
except SystemExit:
    assert 'torch' not in sys.modules
    print('CPU', time.process_time())
"""


class ParsedError(Exception):
    """Carries a parser out of a tool, in place of its arguments."""


def parsers(name: str, monkeypatch) -> list[argparse.ArgumentParser]:
    """Return the parser of a tool and those of its subcommands."""

    def stop(self, *args):
        raise ParsedError(self)

    for method in ('parse_args', 'parse_intermixed_args'):
        monkeypatch.setattr(argparse.ArgumentParser, method, stop)
    with pytest.raises(ParsedError) as caught:
        runpy.run_path(str(ROOT / 'tools' / name), run_name='__main__')
    (parser,) = caught.value.args
    found = [parser]
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            found += action.choices.values()
    return found


def options(parser: argparse.ArgumentParser) -> dict[str, argparse.Action]:
    """Return what a user can give, by its longest name."""
    return {
        max([*action.option_strings, action.dest], key=len): action
        for action in parser._actions
        if action.help != argparse.SUPPRESS
        and not isinstance(action, (argparse._HelpAction, argparse._SubParsersAction))
    }


@pytest.mark.parametrize('name', TOOLS)
def test_every_option_has_a_help_text_with_its_default(name, monkeypatch):
    for parser in parsers(name, monkeypatch):
        for option, action in options(parser).items():
            assert action.help, f'{parser.prog}: {option} has no help'
            if option.startswith('-') and not action.required:
                assert '(default: ' in action.help, f'{parser.prog}: {option} shows no default'
                if action.default not in (None, False, []):  # the value itself is shown
                    shown = parser._get_formatter()._expand_help(action)
                    assert f'(default: {action.default})' in shown, f'{parser.prog}: {option}: {shown}'


def test_train_and_test_have_the_common_options(monkeypatch):
    common = argparse.ArgumentParser()
    add_common_arguments(common)
    for name in ('train.py', 'test.py'):
        found = options(parsers(name, monkeypatch)[0])
        for option, action in options(common).items():
            for key in ('option_strings', 'dest', 'nargs', 'default', 'type', 'choices', 'help', 'metavar'):
                assert getattr(found[option], key) == getattr(action, key), f'{name} {option} {key}'


def test_names_written_in_tools_are_those_of_the_package(monkeypatch):
    found = options(parsers('model_converters/convert.py', monkeypatch)[0])
    assert found['--to'].choices == [*KINDS, 'ours'] and list(found['--head'].choices) == list(
        REFERENCE_HEADS.values()
    )
    tool = runpy.run_path(str(ROOT / 'tools/dataset_converters/convert.py'))
    in_package = {
        name: f'{splits.__module__.rpartition(".")[2]}.{splits.__name__}'
        for name, splits in CONVERTERS.items()
    }
    assert tool['find_converters']() == in_package
    for name, splits in CONVERTERS.items():
        first = splits.__doc__.splitlines()[0]
        assert tool['description'](in_package[name]).startswith(first)


def test_help_takes_less_than_a_second_of_cpu():
    environment = dict(os.environ, PYTHONPATH=str(ROOT))
    for name in TOOLS:
        command = [sys.executable, '-c', f'import sys; sys.argv = [{str(ROOT / "tools" / name)!r}, "--help"]']
        command[2] += TIMED
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f'{name}: {done.stderr}'
        assert 'usage: ' in done.stdout
        assert float(done.stdout.split()[-1]) < 1, name


def test_an_unknown_ending_is_named(tool, tmp_path):
    with pytest.raises(SystemExit, match=r'--assume-ending must be one of .mp4 .*, got .txt'):
        tool('dataset_converters/convert.py', 'msvd', '.', '--assume-ending', '.txt')

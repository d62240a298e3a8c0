"""README and documentation against the project: what they show must work as shown."""

import ast
import copy
import functools
import json
import re
import shlex
import shutil
from collections import Counter
from pathlib import Path

import mmaction.registry
import mmengine.registry
import pytest
import yaml
from mmengine.config import Config, DictAction
from mmengine.registry import Registry

from mmclip4clip.command_arguments import parse_args
from mmclip4clip.registration import LOCATIONS

from .tools.conftest import config, tool  # noqa: F401  the fixtures

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / 'README.md',
    ROOT / 'CONTRIBUTING.md',
    *sorted((ROOT / 'docs').rglob('*.md')),
    *sorted((ROOT / 'configs').rglob('README.md')),
    ROOT / 'tools/dataset_converters/README.md',
]
OWN_VIDEOS = (ROOT / 'docs/own-videos.md').read_text()
CONFIGS = (
    'retrieval/clip4clip/clip4clip_vit-base-p32-res224-clip-pre_8xb16-u12-5e_msrvtt-9k-rgb.py',
    'captioning/clip4clip/clip4clip-seq-joint_vit-base-p32-res224-clip-pre_8xb16-u12-5e_'
    'msrvtt-caption-rgb.py',
)
EVERY_PAGE = pytest.mark.parametrize('page', PAGES, ids=lambda page: str(page.relative_to(ROOT)))


@pytest.fixture(params=['retrieval', 'captioning'])
def mine(request, shapes, tmp_path) -> Path:
    """A folder laid out as the page on own videos says, and the page's config for it."""
    shutil.copytree(shapes / 'videos', tmp_path / 'data/mine/videos')
    for split, source in (('train', 'train'), ('val', 'test'), ('test', 'test')):
        shutil.copy(shapes / f'{source}.json', tmp_path / f'data/mine/{split}.json')
    (snippet,) = re.findall(r"```python\n(_base_ = '.*?)```", OWN_VIDEOS, re.S)
    assert len(snippet.strip().splitlines()) <= 12
    if request.param == 'captioning':
        (other,) = re.findall(r"`_base_ =\s'(clip4clip.*?)'`", OWN_VIDEOS)
        snippet = re.sub("'clip4clip_.*?'", f"'{other}'", snippet)
    folder = ROOT / f'configs/{request.param}/clip4clip'
    path = tmp_path / f'{request.param}.py'
    path.write_text(snippet.replace("_base_ = '", f"_base_ = '{folder}/"))
    return path


def test_the_config_for_ones_own_videos_trains_and_tests(mine, tool, shapes, tmp_path):  # noqa: F811
    tower = dict(hidden_size=64, intermediate_size=256, num_hidden_layers=1, num_attention_heads=2)
    options = [
        'env_cfg.dist_cfg.backend=gloo',
        'model.backbone.pretrained=None',
        'model.backbone.config.projection_dim=64',
    ]
    options += [
        f'model.backbone.config.{part}_config.{k}={v}'
        for part in ('text', 'vision')
        for k, v in tower.items()
    ]
    for part in ('train', 'val', 'test'):
        options += [
            f'{part}_dataloader.num_workers=0',
            f'{part}_dataloader.persistent_workers=False',
            f'{part}_dataloader.dataset.pipeline.4.tokenizer={shapes}/tokenizer',
        ]
    captioning = mine.stem == 'captioning'
    if captioning:
        options += [
            *(f'model.adapter.{k}={v}' for k, v in dict(width=64, num_layers=1, num_heads=2).items()),
            f'model.tokenizer={shapes}/tokenizer',
            'model.generation.max_new_tokens=5',
            'val_evaluator.1.java=False',
            'test_evaluator.1.java=False',
        ]
    options += [f'default_hooks.report.{part}=1' for part in ('page', 'picture')]  # more takes longer
    tool(
        'train.py',
        mine,
        '--work-dir',
        'w',
        '--cfg-options',
        *options,
        'train_cfg.max_epochs=1',
        'default_hooks.report.gallery=0',
    )
    options.append('default_hooks.report.gallery=2')
    tool('test.py', mine, 'w/epoch_1.pth', '--work-dir', 't', '--cfg-options', *options)
    (entry,) = json.loads((tmp_path / 't/metrics.json').read_text())
    assert entry['retrieval/R10'] >= 0 and ('caption/CIDEr' in entry) == captioning


def blocks(page: Path, language: str) -> list:
    """Find a page's code blocks of a language."""
    return re.findall(rf'^```{language}[^\n]*\n(.*?)^```', page.read_text(), re.S | re.M)


def code(page: Path) -> list:
    """Find all that a page sets as code: blocks without comments, and what stands between backticks."""
    text = page.read_text()
    inline = re.findall(r'`([^`]+)`', re.sub(r'^```.*?^```', '', text, flags=re.S | re.M))
    commands = [re.sub(r'\s+#.*|\\\n', ' ', block) for block in blocks(page, 'bash')]
    return commands + [' '.join(span.split()) for span in inline]


@functools.cache
def flags(path: Path) -> set:
    """Find the flags that a script, or what it takes them from, has."""
    text = path.read_text()
    if 'apis/arguments.py' in text:
        text += (ROOT / 'mmclip4clip/apis/arguments.py').read_text()
    if path.name == 'benchmark.py':  # runs a part with its flags
        text += ''.join(part.read_text() for part in path.parent.glob('*.py'))
    if path.name == 'doctor.py':
        for name in ('command_arguments', 'shared_options'):
            text += (ROOT / f'mmclip4clip/{name}.py').read_text()
    return set(re.findall(r"'(--[\w-]+)'", text))


@EVERY_PAGE
def test_every_file_that_a_page_names_exists(page):
    text = page.read_text()
    links = [link for link in re.findall(r'\]\(([^)#]+)', text) if not link.startswith('http')]
    named = [
        path.rstrip('.')
        for path in re.findall(
            r'(?<![\w/.])(?:tools|configs|tests|requirements|mmclip4clip)/[\w/.-]+(?![\w*]|/\*)', text
        )
    ]
    new = {line for block in blocks(page, '') for line in re.findall(r'^# (\S+/\S+\.py)$', block, re.M)}
    missing = [link for link in links if not (page.parent / link).exists()]
    missing += [
        path
        for path in named
        if not (ROOT / path).exists() and path not in new and Path(path).name != 'mine.py'
    ]
    assert not missing


@EVERY_PAGE
def test_every_heading_that_a_page_links_to_exists(page):
    for link, anchor in re.findall(r'\]\(([^)#:]*)#([^)]+)\)', page.read_text()):
        headings = re.findall(r'^#+ (.*)', (page.parent / link if link else page).read_text(), re.M)
        slugs = [re.sub(r'[^\w -]', '', heading.lower()).replace(' ', '-') for heading in headings]
        assert anchor in slugs, f'{link}#{anchor}'


@EVERY_PAGE
def test_every_tool_has_the_flags_that_a_page_gives_it(page):
    for command in re.findall(r'(?<![\w/])(tools/[\w/]+\.py)([^\n]*)', '\n'.join(code(page))):
        unknown = set(re.findall(r' (--[a-z][\w-]*)', command[1])) - flags(ROOT / command[0])
        assert not unknown, command


@EVERY_PAGE
def test_some_tool_has_every_flag_that_a_page_names(page):
    sources = [*(ROOT / 'tools').rglob('*.py'), *(ROOT / 'mmclip4clip').glob('*_arguments.py')]
    known = set().union(*map(flags, sources))
    others = {'--constraint', '--extra-index-url', '--no-deps', '--strict', '--help'}  # of pip, mkdocs, all
    found = {flag for span in code(page) for flag in re.findall(r'(?:^| )(--[a-z][\w-]*)', span)}
    assert found <= known | others


@EVERY_PAGE
def test_every_command_line_of_a_page_can_be_parsed(page):
    for span in code(page):
        for line in re.findall(r'(?:^|\n|[|] )mmclip4clip ([^\n|>]+)', span):
            words = shlex.split(line)
            assert '--help' in words or parse_args(words).command in words


@EVERY_PAGE
def test_options_that_a_page_names_fit_a_config(page):
    for span in code(page):
        for options in re.findall(r'--cfg-options((?: +[\w.]+=\S+)+)', span):
            pairs = [pair.split('=', 1) for pair in shlex.split(options)]
            pairs = {key: DictAction._parse_iterable(value) for key, value in pairs if key != 'key'}
            assert any(takes(copy.deepcopy(read(path)), pairs) for path in CONFIGS), options


@functools.cache
def read(path: str) -> Config:
    """Read a config, once for all pages."""
    return Config.fromfile(ROOT / 'configs' / path)


def takes(cfg: Config, options: dict) -> bool:
    """Merge options into a config, and say whether it had something of their first names."""
    if not all(key.split('.')[0] in {*cfg, 'load_from'} for key in options):
        return False
    try:
        cfg.merge_from_dict(options)
    except (KeyError, TypeError):  # an index into what is no list
        return False
    return True


@EVERY_PAGE
def test_every_make_target_that_a_page_names_exists(page):
    makefile = (ROOT / 'Makefile').read_text()
    for target in re.findall(r'(?:^|\n|time )make ([\w-]+)', '\n'.join(code(page))):
        assert f'\n{target}:' in makefile, target


@functools.cache
def classes() -> set:
    """Find the names of all registered classes, and of all that the package has."""
    registries = [
        r
        for module in (mmaction.registry, mmengine.registry)
        for r in vars(module).values()
        if isinstance(r, Registry)
    ]
    for name in LOCATIONS:
        getattr(mmaction.registry, name).import_from_location()
    known = {name for registry in registries for name in registry.module_dict}
    return known | {
        name
        for path in (ROOT / 'mmclip4clip').rglob('*.py')
        for name in re.findall(r'^class (\w+)', path.read_text(), re.M)
    }


@EVERY_PAGE
def test_every_class_that_a_page_names_exists(page):
    named = {span for span in code(page) if re.fullmatch(r'[A-Z]+[a-z0-9]+[A-Z]\w+', span)}
    for block in blocks(page, 'python'):
        named |= set(re.findall(r"type='(\w+)'", block))
    new = {name for block in blocks(page, 'python') for name in re.findall(r'^class (\w+)', block, re.M)}
    assert not named - new - classes()


@EVERY_PAGE
def test_snippets_of_a_page_are_json_and_python(page):
    for block in blocks(page, 'json'):
        assert json.loads(block)
    for block in blocks(page, 'python'):
        ast.parse(block)


def test_the_readme_is_short_and_its_picture_small():
    assert len((ROOT / 'README.md').read_text().splitlines()) <= 150
    assert all(path.stat().st_size < 200_000 for path in (ROOT / 'docs/images').iterdir())


def test_every_page_is_in_the_navigation_and_every_room_has_an_api_page():
    def pages(entry):
        return (
            [entry]
            if isinstance(entry, str)
            else [p for e in (entry if isinstance(entry, list) else entry.values()) for p in pages(e)]
        )

    docs = ROOT / 'docs'
    listed = pages(yaml.safe_load((ROOT / 'mkdocs.yml').read_text())['nav'])
    assert sorted(listed) == sorted(str(p.relative_to(docs)) for p in docs.rglob('*.md'))
    described = re.findall(r'^::: (\S+)$', '\n'.join(p.read_text() for p in (docs / 'api').iterdir()), re.M)
    rooms = {path.parent.name for path in (ROOT / 'mmclip4clip').glob('[a-z]*/__init__.py')}
    assert {f'mmclip4clip.{room}' for room in rooms} <= set(described)


def test_the_picture_of_the_architecture_shows_every_room():
    rooms = {f'{path.parent.name}/' for path in (ROOT / 'mmclip4clip').glob('[a-z]*/__init__.py')}
    shown = re.findall(r'font-weight="bold">([\w ]+/?)<', (ROOT / 'docs/images/architecture.svg').read_text())
    assert set(shown) == rooms | {'tools/', 'the ground'}


def test_no_sentence_stands_on_two_pages():
    prose = (
        re.sub(r'^(```.*?^```|\|[^\n]*|#[^\n]*)', '', page.read_text(), flags=re.S | re.M) for page in PAGES
    )
    counts = Counter(' '.join(s.split()) for text in prose for s in re.split(r'(?<=[.:])\s+', text))
    assert not [s for s, count in counts.items() if count > 1 and len(s) > 60]

from functools import cache
from pathlib import Path

import pytest

from ..videos import at_rate, cut, decode_in_order, digest, turn, write_frames


@pytest.fixture(scope='session')
def files(tmp_path_factory) -> dict:
    """Videos of 60 frames in every form that readers may stumble over, by name."""
    root: Path = tmp_path_factory.mktemp('videos')
    uneven = [*at_rate(30, 30), *(1 + at_rate(2, 10)), *(6 + at_rate(10, 20))]
    made = dict(
        mp4=write_frames(root / 'a.mp4', at_rate(30, 60)),
        ntsc=write_frames(root / 'ntsc.mp4', at_rate(30000 / 1001, 60)),
        intra=write_frames(root / 'intra.mp4', at_rate(30, 60), gop=1, b_frames=0),
        avi=write_frames(root / 'a.avi', at_rate(30, 60), b_frames=0),
        avi_b_frames=write_frames(root / 'b.avi', at_rate(30, 60)),
        avi_mpeg4=write_frames(root / 'c.avi', at_rate(30, 60), codec='mpeg4'),
        open_groups=write_frames(root / 'open.mp4', at_rate(30, 60), codec='libx265'),
        no_count=write_frames(root / 'a.mkv', at_rate(30, 60)),
        fragments=write_frames(root / 'frag.mp4', at_rate(30, 60), movflags='frag_keyframe+empty_moov'),
        uneven=write_frames(root / 'uneven.mp4', uneven),
        uneven_mkv=write_frames(root / 'uneven.mkv', uneven),
        one=write_frames(root / 'one.mp4', [0]),
    )
    whole = write_frames(root / 'whole.mp4', at_rate(30, 60), movflags='faststart')
    return dict(
        made,
        over=cut(whole, root / 'over.mp4', 0.6),
        cut=cut(made['mp4'], root / 'cut.mp4', 0.6),
        turned=turn(made['mp4'], root / 'turned.mp4'),
    )


@pytest.fixture(scope='session')
def real_frames():
    """Digests of all frames of a real clip, decoded in order; each clip once for all tests."""
    return cache(lambda path: [digest(frame) for frame in decode_in_order(path)])


def pytest_generate_tests(metafunc):
    """Run tests with a ``share`` on every fourth real clip, and on all of them when long."""
    if 'share' in metafunc.fixturenames:
        metafunc.parametrize('share', [4, pytest.param(1, marks=pytest.mark.long)], ids=['a quarter', 'all'])


@pytest.fixture
def clips(data, share) -> list:
    """Real clips that are not broken."""
    paths = sorted(
        path
        for path in (data / 'clips').glob('*/*')
        if path.suffix in ('.mp4', '.avi') and path.parent.name != 'broken'
    )
    assert len(paths) >= 22
    return paths[::share]

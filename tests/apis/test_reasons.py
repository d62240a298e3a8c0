"""Why a video answers a query: scores and times against the model's own, PyAV, and sums in float64."""

import av
import numpy as np
import pytest
from PIL import Image

import mmclip4clip
from mmclip4clip.apis.reasons import explain, explain_videos, match_word
from mmclip4clip.apis.search_model import SearchModel
from mmclip4clip.datasets.video_readers import VideoReadError
from mmclip4clip.search import Term
from mmclip4clip.tokenizers.caption_words import CaptionWord

from ..videos import write_frames
from .conftest import HEADS

TEXT = 'a red circle goes left'
SUM = [Term(0.5, 'text', TEXT), Term(1.0, 'text', 'skateboards'), Term(-2.0, 'text', 'blue')]


@pytest.fixture(scope='module')
def load(checkpoint_of):
    loaded = {}

    def load(name):
        if name not in loaded:
            loaded[name] = mmclip4clip.load(checkpoint_of(name)[0], device='cpu')
        return loaded[name]

    return load


@pytest.fixture(scope='module')
def uneven(tmp_path_factory):
    """A video whose frames last for different times."""
    seconds = np.cumsum([0, *np.random.default_rng(3).uniform(0.03, 0.4, 19)])
    return write_frames(tmp_path_factory.mktemp('uneven') / 'uneven.mp4', seconds.round(3), b_frames=0)


@pytest.mark.parametrize('name', HEADS)
def test_the_score_is_the_models_for_a_file_and_a_range_of_it(load, tested, name):
    model, videos = load(name), [tested.files[0], (tested.files[1], 0.5, 1.5), (tested.files[2], None, 0.1)]
    expected = model.similarity([TEXT], videos)[0]
    for video, score in zip(videos, expected):
        reasons = explain(model, TEXT, video)
        assert abs(reasons.score - score) < 1e-5
        assert (reasons.words is not None) == (name == 'WTI')
        weights = [frame.weight for frame in reasons.frames]
        assert (weights[0] is None) == (name == 'Tight')
        if name in ('Mean', 'Seq', 'LSTM'):
            total = sum(frame.score * frame.weight for frame in reasons.frames)
            assert abs(total - score) < 1e-5


@pytest.mark.parametrize('window', [(None, None), (0.7, 2.1), (1.0, None)])
def test_times_are_those_of_the_frames_in_the_file(load, uneven, window):
    with av.open(str(uneven)) as container:
        times = np.array([float(frame.pts * frame.time_base) for frame in container.decode(video=0)])
    start, end = window[0] or 0.0, window[1] or 2 * times[-1] - times[-2]
    shown = times[: np.searchsorted(times, end - 1e-6)]
    shown = shown[np.searchsorted(shown, start + 1e-6) - 1 if start else 0 :]  # the frame at the start, too
    expected = []
    for second in np.arange(0, end - shown[0], 0.5):  # two frames a second
        frame = shown[shown <= shown[0] + second + 1e-6][-1]
        expected += [frame] if frame not in expected else []
    expected = np.array(expected)[np.linspace(0, len(expected) - 1, min(4, len(expected))).astype(int)]
    found = explain(load('Mean'), TEXT, (str(uneven), *window))
    np.testing.assert_allclose([frame.time for frame in found.frames], expected, atol=1e-3)


def test_frames_of_a_query_with_several_texts_add_up_as_its_score_does(load, tested):
    model = load('Mean')
    query = SearchModel(model).encode_query(SUM).vector.astype(np.float64)
    reasons = explain(model, SUM, tested.files[0])
    whole = model.encode_videos([tested.files[0]])[0].astype(np.float64)
    assert abs(reasons.score - query @ whole) < 1e-6
    assert abs(sum(frame.score * frame.weight for frame in reasons.frames) - reasons.score) < 1e-6
    for name in ('WTI', 'XPool', 'Tight'):
        model = load(name)
        scores = model.similarity([term.value for term in SUM], [tested.files[0]])[:, 0].astype(np.float64)
        alone = [explain(model, term.value, tested.files[0]) for term in SUM]
        reasons = explain(model, SUM, tested.files[0])
        weights = np.array([0.25, 0.5, -1])  # the largest is 1
        assert abs(reasons.score - weights @ scores) < 1e-5
        expected = weights @ np.array([[frame.score for frame in part.frames] for part in alone])
        np.testing.assert_allclose([frame.score for frame in reasons.frames], expected, atol=1e-5)
        assert (reasons.frames[0].weight is None) == (name != 'WTI')


@pytest.mark.parametrize('query', [TEXT, SUM], ids=['text', 'sum'])
def test_words_and_frames_of_wti_add_up_to_the_score(load, tested, query):
    reasons = explain(load('WTI'), query, tested.files[0])
    assert [word.word for word in reasons.words[:7]] == ['[start]', *TEXT.split(), '[end]']
    if query is SUM:
        assert [word.word for word in reasons.words[7:]] == [
            '[start]', 'skateboards', '[end]', '[start]', 'blue', '[end]'
        ]  # fmt: skip
        assert all(word.weight < 0 for word in reasons.words[-3:])
    frames = sum(frame.score * frame.weight for frame in reasons.frames)
    words = sum(word.score * word.weight for word in reasons.words)
    assert abs((frames + words) / 2 - reasons.score) < 1e-5
    assert all(0 <= word.frame < len(reasons.frames) for word in reasons.words)


def test_a_word_of_two_tokens_takes_the_frame_that_fits_both():
    cosines = np.array([[0.9, 0.0, 0.8], [0.0, 0.9, 0.7], [0.5, 0.6, 0.1]])
    word = match_word(CaptionWord('skateboards', [0, 1]), cosines, np.array([-0.2, -0.6, 0.5]))
    assert word.frame == 2 and word.weight == pytest.approx(-0.8) and word.score == pytest.approx(0.9)
    assert match_word(CaptionWord('a', [2]), cosines, np.zeros(3)).score == pytest.approx(0.6)


@pytest.mark.parametrize('name', ['Seq', 'Tight', 'WTI', 'XPool'])
def test_a_query_with_an_image_scores_frames_by_the_vectors(load, tested, tmp_path, name):
    Image.fromarray(np.full((64, 64, 3), 200, np.uint8)).save(tmp_path / 'person.png')
    query = [Term(1.0, 'text', TEXT), Term(0.5, 'image', str(tmp_path / 'person.png'))]
    model = SearchModel(load(name))
    (reasons,) = explain_videos(model, query, [tested.files[0]])
    plan = lambda filename, duration: [(None, None)]  # noqa: E731
    (file,) = model.encode_files([tested.files[0]], plan, str, 0)
    vector = model.encode_query(query).vector
    assert abs(reasons.score - file.vectors[0] @ vector) < 1e-5 and reasons.words is None
    mean = np.mean([frame.score for frame in reasons.frames])
    assert all(-1 <= frame.score <= 1 for frame in reasons.frames) and mean * reasons.score > 0


def test_videos_that_cannot_be_read_are_left_out_or_refused(load, tested, tmp_path, capfd):
    model, broken = load('Mean'), tmp_path / 'text.mp4'
    broken.write_text('no video')
    videos = [str(broken), tested.files[0], (tested.files[0], 90.0, 91.0), str(tmp_path / 'gone.mp4')]
    found = list(explain_videos(SearchModel(model), TEXT, videos))
    assert [reasons is None for reasons in found] == [True, False, True, True]
    for video, kind in zip((videos[0], *videos[2:]), (VideoReadError, VideoReadError, FileNotFoundError)):
        with pytest.raises(kind):
            explain(model, TEXT, video)
    with pytest.raises(TypeError, match='expected a path'):
        explain(model, TEXT, np.zeros((4, 64, 64, 3), np.uint8))
    with pytest.raises(ValueError):
        explain(model, ' ', tested.files[0])

"""What a loaded model gives, compared with the dump of a test and with the model's own test step."""

import numpy as np
import pytest
import torch
from mmaction.registry import DATASETS
from mmengine.dataset import pseudo_collate
from torch.nn.functional import normalize
from torch.testing import assert_close

import mmclip4clip
from mmclip4clip.datasets.video_readers import VideoReadError, open_reader
from mmclip4clip.models.features import as_features, cat_features, join_features

from .conftest import HEADS

BATCH = 5  # of the test


@pytest.fixture(scope='module')
def model(tested):
    return mmclip4clip.load(tested.path, device='cpu')


@pytest.fixture
def broken(tmp_path) -> str:
    path = tmp_path / 'text.mp4'
    path.write_text('no video at all')
    return str(path)


def captions(tested) -> list:
    return [caption for record in tested.records for caption in record['captions']]


def test_embeddings_scores_and_captions_equal_those_of_the_test(model, tested):
    videos = model.encode_videos(tested.files, batch_size=BATCH)
    assert videos.dtype == np.float32 and videos.shape == (16, 32)
    assert (videos == np.stack([record['video_features'] for record in tested.records])).all()
    np.testing.assert_allclose(np.linalg.norm(videos, axis=1), 1, rtol=1e-6)
    text = model.encode_text(captions(tested))
    dumped = torch.from_numpy(np.concatenate([record['text_features'] for record in tested.records]))
    assert_close(torch.from_numpy(text), normalize(dumped, dim=-1), rtol=0, atol=1e-6)
    scores = np.concatenate([record['scores'] for record in tested.records])
    np.testing.assert_allclose(model.similarity(text, videos), scores, atol=1e-6)
    np.testing.assert_allclose(text @ videos.T, scores, atol=1e-6)
    generated = [record['generated'] for record in tested.records]
    assert len(set(generated)) > 1 or generated[0]
    assert model.caption(tested.files, batch_size=BATCH) == generated


@pytest.mark.parametrize('head', HEADS)
def test_every_head_gives_the_features_and_scores_of_the_test(checkpoint_of, tested, head):
    path, built = checkpoint_of(head)
    loaded = mmclip4clip.load(path, device='cpu')
    dataset = DATASETS.build(tested.cfg.test_dataloader.dataset)
    with torch.no_grad():
        samples = built.test_step(pseudo_collate([dataset[i] for i in range(4)]))
        expected = join_features([sample.video_features for sample in samples])
        text = cat_features([as_features(sample.text_features, '') for sample in samples])
        scores = built.similarity(text, expected).numpy()
    videos = loaded.encode_videos(tested.files[:4])
    texts = [caption for record in tested.records[:4] for caption in record['captions']]
    if head in ('Mean', 'Seq', 'LSTM'):
        assert (videos == expected['video'].numpy()).all()
    else:
        assert {key: part.shape for key, part in videos.items()} == {
            key: part.shape for key, part in expected.items()
        }
        assert all((videos[key] == part.numpy()).all() for key, part in expected.items())
    np.testing.assert_allclose(loaded.similarity(texts, videos), scores, atol=1e-5)
    np.testing.assert_allclose(loaded.similarity(loaded.encode_text(texts), videos), scores, atol=1e-5)


def test_the_size_of_batches_and_processes_that_decode_ahead_change_nothing(model, tested):
    one = model.encode_videos(tested.files[:4])
    np.testing.assert_allclose(model.encode_videos(tested.files[:4], batch_size=1), one, atol=1e-6)
    assert (model.encode_videos(tested.files[:4], num_workers=1) == one).all()
    texts = captions(tested)[:5]
    np.testing.assert_allclose(model.encode_text(texts, 2), model.encode_text(texts), atol=1e-6)


def test_an_unreadable_video_is_reported_and_the_rest_comes(model, tested, broken, capfd):
    files = [tested.files[0], broken, tested.files[1]]
    videos = model.encode_videos(files)
    np.testing.assert_allclose(videos[[0, 2]], model.encode_videos(files[::2]), atol=1e-6)
    model.encode_videos(files)
    assert list(model.unreadable) == [1] and broken in model.unreadable[1]
    assert (videos[1] == 0).all()
    scores = model.similarity('a red circle', videos)
    assert scores.shape == (1, 3) and scores[0, 1] == -np.inf and np.isfinite(scores[0, [0, 2]]).all()
    written = model.caption(files)
    assert written[1] == '' and [written[0], written[2]] == model.caption(files[::2])
    with pytest.raises(VideoReadError, match='none of the 1 videos can be read(?s:.*)text.mp4'):
        model.encode_videos([broken])


def test_heads_with_more_than_a_vector_leave_unreadable_videos_out_of_their_scores(
    checkpoint_of, tested, broken
):
    model = mmclip4clip.load(checkpoint_of('WTI')[0], device='cpu')
    videos = model.encode_videos([broken, tested.files[0]])
    assert all((part[0] == 0).all() for part in videos.values())
    scores = model.similarity(['a red circle'], videos)
    assert scores[0, 0] == -np.inf and np.isfinite(scores[0, 1])
    with pytest.raises(ValueError, match='must be a dict of arrays.* got an array'):
        model.similarity(['a red circle'], np.ones((2, 32), np.float32))


def test_arrays_of_frames_give_the_features_of_their_file(model, tested):
    with open_reader('pyav', tested.files[0]) as reader:
        frames, fps = np.stack(reader.read(range(reader.num_frames))), reader.fps
    expected = model.encode_videos(tested.files[0])
    assert len(frames) == 7 and fps == 4
    assert (model.encode_videos([(frames, fps)]) == expected).all()
    sampled = frames[::2]  # the config takes two frames per second, and four at most
    assert (model.encode_videos(sampled) == expected).all()
    assert (model.encode_videos(torch.from_numpy(sampled)) == expected).all()
    assert (model.encode_videos(sampled[None]) == expected).all()


def test_a_time_range_gives_the_features_of_its_frames(model, tested):
    file = tested.files[0]
    with open_reader('pyav', file) as reader:
        frames = np.stack(reader.read(range(reader.num_frames)))
    part, whole = model.encode_videos([(file, 0.5, 1.25), (file, None, None)])
    # At 4 frames per second, frames 2, 3 and 4 are in the range. At two per second, 2 and 4 are taken.
    np.testing.assert_allclose(part, model.encode_videos(frames[[2, 4]])[0], atol=1e-6)
    np.testing.assert_allclose(whole, model.encode_videos(file)[0], atol=1e-6)
    with pytest.raises(VideoReadError, match='the window starts at 9 s, but the video ends'):
        model.encode_videos([(file, 9, 10)])


def test_frames_of_another_size_are_resized_where_the_pipeline_does_not(model):
    assert model.encode_videos(np.zeros((2, 90, 160, 3), np.uint8)).shape == (1, 32)


@pytest.mark.parametrize(
    'videos, kind, message',
    [
        ([], ValueError, 'videos is empty: expected at least one'),
        (['no-such.mp4', 'nor.mp4'], FileNotFoundError, r'2 of 2 videos do not exist:\n  no-such.mp4'),
        (['.'], FileNotFoundError, r'1 of 1 .*\n  \. \(a folder\)'),
        (np.zeros((2, 3, 64, 64), np.uint8), ValueError, r'got \(2, 3, 64, 64\) of uint8; move the channels'),
        (np.zeros((2, 64, 64, 3)), ValueError, 'expected frames .* of uint8.* float64'),
        (np.zeros((64, 64, 3), np.uint8), ValueError, r'expected frames \(T, H, W, 3\)'),
        (np.zeros((0, 64, 64, 3), np.uint8), ValueError, 'at least one'),
        ([(np.zeros((2, 64, 64, 3), np.uint8), 0)], ValueError, 'must be a positive number, got 0'),
        ([('a.mp4', 3, 1)], ValueError, r'videos\[0\], a.mp4: start=3 must lie before end=1'),
        ([('a.mp4', -1, 1)], ValueError, 'start must be seconds from 0'),
        ([3], TypeError, r'videos\[0\]: expected a path, .*got int: 3'),
        (None, TypeError, 'videos must be a list'),
    ],
)
def test_what_is_no_video_is_refused_by_its_position(model, videos, kind, message):
    with pytest.raises(kind, match=message):
        model.encode_videos(videos)


@pytest.mark.parametrize(
    'text, kind, message',
    [
        ([], ValueError, 'text is empty'),
        (['a', ' '], ValueError, r'text\[1\] is empty or shows nothing'),
        (['a', 3], TypeError, r'text\[1\] must be a string, got int'),
        (3, TypeError, 'text must be a list of strings, got int'),
    ],
)
def test_what_is_no_text_is_refused_by_its_position(model, text, kind, message):
    with pytest.raises(kind, match=message):
        model.encode_text(text)


def test_features_of_another_model_are_refused(model, tested):
    videos = model.encode_videos(tested.files[:1])
    with pytest.raises(ValueError, match=r'text .*\(1, 7\).* do not fit .*captioner.pth'):
        model.similarity(np.ones((1, 7), np.float32), videos)
    with pytest.raises(ValueError, match='batch_size must be a positive whole number, got 0'):
        model.encode_videos(tested.files[:1], batch_size=0)


def test_a_retriever_writes_no_captions(checkpoint_of, tested):
    model = mmclip4clip.load(checkpoint_of('Mean')[0], device='cpu')
    with pytest.raises(TypeError, match='Mean.pth is a CLIP4ClipRetriever, which writes no captions'):
        model.caption(tested.files)


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_a_gpu_gives_the_features_of_the_cpu(model, tested):
    on_gpu = mmclip4clip.load(tested.path, device='cuda')
    np.testing.assert_allclose(
        on_gpu.encode_videos(tested.files), model.encode_videos(tested.files), atol=1e-4
    )

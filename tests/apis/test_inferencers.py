import json
import shutil

import numpy as np
import pytest
from mmaction.registry import INFERENCERS
from mmengine.infer import BaseInferencer

import mmclip4clip
from mmclip4clip.apis import VideoCaptionInferencer, VideoRetrievalInferencer


@pytest.fixture
def folder(tested, tmp_path):
    """A folder with two videos, one in a subfolder, a broken one, and another file."""
    (tmp_path / 'videos/more').mkdir(parents=True)
    shutil.copy(tested.files[0], tmp_path / 'videos/a.mp4')
    shutil.copy(tested.files[1], tmp_path / 'videos/more/b.MP4')
    (tmp_path / 'videos/broken.mp4').write_text('no video')
    (tmp_path / 'videos/notes.txt').write_text('no video')
    return tmp_path / 'videos'


def test_a_folder_is_searched_and_the_results_are_written(tested, folder, tmp_path):
    inferencer = INFERENCERS.build(
        dict(type='VideoRetrievalInferencer', weights=str(tested.path), device='cpu', show_progress=False)
    )
    assert isinstance(inferencer, BaseInferencer)
    texts = tested.records[0]['captions'][:2]
    result = inferencer(str(folder), text=texts, top_k=5, out_dir=str(tmp_path / 'out'))
    model = mmclip4clip.load(tested.path, device='cpu')
    files = [str(folder / name) for name in ('a.mp4', 'more/b.MP4')]
    scores = model.similarity(texts, model.encode_videos(files))
    for query, text, row in zip(result['predictions'], texts, scores):
        order = np.argsort(-row)
        assert query['text'] == text
        assert [video['video'] for video in query['videos']] == [files[v] for v in order]
        np.testing.assert_allclose([video['score'] for video in query['videos']], row[order], atol=1e-6)
    names = [video['video'] for video in result['videos']]
    assert names == [files[0], str(folder / 'broken.mp4'), files[1]]
    assert 'broken.mp4 cannot be read' in result['videos'][1]['unreadable']
    assert json.loads((tmp_path / 'out/retrieval.json').read_text()) == result['predictions']
    with np.load(tmp_path / 'out/features.npz') as stored:
        assert (stored['video'] == result['features']).all() and stored['video'].shape == (3, 32)


def test_captions_are_those_of_the_model_for_paths_arrays_and_time_ranges(tested, tmp_path, capfd):
    inferencer = VideoCaptionInferencer(weights=tested.path, device='cpu')
    inputs = [tested.files[0], (tested.files[1], 0.5, 1.5), np.zeros((3, 64, 64, 3), np.uint8)]
    result = inferencer(inputs, batch_size=2, out_dir=tmp_path)
    assert 'videos' in capfd.readouterr().err  # the progress bar
    expected = mmclip4clip.load(tested.path, device='cpu').caption(inputs, batch_size=2)
    assert [video['caption'] for video in result['predictions']] == expected
    assert result['predictions'][1]['start'] == 0.5 and result['predictions'][2]['video'] == 'videos[2]'
    assert all(np.isfinite(video['score']) for video in result['predictions'])
    assert json.loads((tmp_path / 'captions.json').read_text()) == result['predictions']
    (sample,) = inferencer(tested.files[0], return_datasamples=True)['predictions']
    assert sample.caption == expected[0]


def test_wrong_arguments_are_named(tested, checkpoint_of, tmp_path):
    with pytest.raises(ValueError, match='give the checkpoint as weights=FILE'):
        VideoRetrievalInferencer()
    with pytest.raises(TypeError, match='Mean.pth is a CLIP4ClipRetriever, which writes no captions'):
        VideoCaptionInferencer(weights=checkpoint_of('Mean')[0], device='cpu')
    inferencer = VideoRetrievalInferencer(weights=checkpoint_of('Mean')[0], device='cpu')
    with pytest.raises(ValueError, match='the folder .* has no videos'):
        inferencer(str(tmp_path))
    with pytest.raises(ValueError, match='top_k must be a positive whole number, got 0'):
        inferencer(tested.files[0], text='a', top_k=0)

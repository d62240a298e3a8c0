"""One method for texts and videos, as sentence-transformers has it."""

import inspect

import numpy as np
import pytest
import torch

import mmclip4clip
from mmclip4clip.apis.mteb_encoder import MTEBEncoder
from mmclip4clip.apis.sentence_encoder import SentenceEncoder
from mmclip4clip.datasets.video_readers import VideoReadError

# Parameters of SentenceTransformer.encode of sentence-transformers 6.2, without **kwargs.
SIGNATURE = {
    'inputs': inspect.Parameter.empty,
    'prompt_name': None,
    'prompt': None,
    'batch_size': 32,
    'show_progress_bar': None,
    'output_value': 'sentence_embedding',
    'precision': 'float32',
    'convert_to_numpy': True,
    'convert_to_tensor': False,
    'device': None,
    'normalize_embeddings': False,
    'truncate_dim': None,
    'pool': None,
    'chunk_size': None,
}


@pytest.fixture(scope='module')
def encoder(checkpoint_of):
    return SentenceEncoder(checkpoint_of('Seq')[0], device='cpu')


def test_the_signature_is_that_of_sentence_transformers():
    found = inspect.signature(SentenceEncoder.encode).parameters
    assert {name: found[name].default for name in list(found)[1:]} == SIGNATURE


def test_the_signature_is_that_of_the_installed_sentence_transformers():
    library = pytest.importorskip('sentence_transformers', reason='sentence-transformers is not installed')
    theirs = inspect.signature(library.SentenceTransformer.encode).parameters
    assert {name: p.default for name, p in theirs.items() if name not in ('self', 'kwargs')} == SIGNATURE


def test_texts_and_videos_of_one_list_have_the_vectors_of_the_model(encoder, tested):
    array = np.random.default_rng(0).integers(0, 255, (4, 48, 64, 3), np.uint8)
    first, second = tested.files[:2]
    inputs = ['a red circle', first, dict(text=second), dict(video=second), array, (first, 0, 1)]
    found = encoder.encode(inputs, batch_size=2)
    texts = encoder.model.encode_text(['a red circle', second])
    videos = encoder.model.encode_videos([first, second, array, (first, 0, 1)])
    np.testing.assert_allclose(found[[0, 2]], texts, atol=1e-6)
    np.testing.assert_allclose(found[[1, 3, 4, 5]], videos, atol=1e-6)
    scores = encoder.similarity(found[[0]], found[1:])[:, [0, 2, 3, 4]]
    np.testing.assert_allclose(
        scores[:, [0, 2, 3, 4]], encoder.model.similarity(texts[:1], videos), atol=1e-6
    )
    np.testing.assert_allclose(encoder.similarity_pairwise(found[1:], found[1:]), 1, atol=1e-6)


def test_forms_of_the_result(encoder, tested):
    dimension = encoder.get_embedding_dimension()
    assert dimension == encoder.get_sentence_embedding_dimension() == 32
    assert encoder.encode('a red circle').shape == encoder.encode(tested.files[0]).shape == (dimension,)
    assert encoder.encode([]).shape == (0, dimension)
    tensor = encoder.encode_query(['a', 'b'], convert_to_tensor=True)
    assert isinstance(tensor, torch.Tensor) and tensor.shape == (2, dimension)
    listed = encoder.encode_document(['a', 'b'], convert_to_numpy=False)
    assert isinstance(listed, list) and torch.equal(torch.stack(listed), tensor)
    assert torch.equal(encoder.similarity(listed, tensor), encoder.similarity(tensor, tensor.numpy()))
    short = encoder.encode(['a'], truncate_dim=8, normalize_embeddings=True)
    np.testing.assert_allclose(short, tensor[:1, :8] / tensor[:1, :8].norm(), atol=1e-6)
    np.testing.assert_allclose(encoder.encode(['red circle'], prompt='a '), encoder.encode(['a red circle']))


@pytest.mark.parametrize(
    'inputs, options, error, message',
    [
        ('a', dict(precision='int8'), ValueError, "precision must be 'float32', got 'int8'"),
        ('a', dict(output_value='token_embeddings'), ValueError, 'output_value must be'),
        ('a', dict(prompt_name='query'), ValueError, "no prompt called 'query'"),
        ([dict(image='a.png')], {}, TypeError, "either text or video, got the keys .'image'"),
        (['https://host/a.mp4'], {}, TypeError, 'is a URL: download the video'),
        ([3], {}, TypeError, 'videos'),
    ],
)
def test_what_cannot_be_encoded_is_named(encoder, inputs, options, error, message):
    with pytest.raises(error, match=message):
        encoder.encode(inputs, **options)


def test_an_unreadable_video_is_an_error_and_no_row_of_zeros(encoder, tested, tmp_path):
    (tmp_path / 'text.mp4').write_text('no video')
    with pytest.raises(VideoReadError, match='text.mp4'):
        encoder.encode([tested.files[0], str(tmp_path / 'text.mp4')])


def test_a_head_that_compares_more_than_vectors_is_refused(checkpoint_of):
    with pytest.raises(TypeError, match='WTIAdapter, which keeps more than a vector'):
        SentenceEncoder(mmclip4clip.load(checkpoint_of('WTI')[0], device='cpu'))


def test_batches_of_mteb_have_the_vectors_of_the_files(encoder, tested):
    decoders = pytest.importorskip('torchcodec.decoders', reason='torchcodec is an extra')
    files = tested.files[:3]
    try:
        videos = [decoders.VideoDecoder(file) for file in files]
    except (RuntimeError, OSError) as error:
        pytest.skip(f'torchcodec cannot be used: {error}')
    model = MTEBEncoder(encoder.model)
    batches = [dict(video=videos[:2], id=['0', '1']), dict(video=videos[2:], id=['2'])]
    found = model.encode(batches, task_metadata=None, hf_split='test', hf_subset='default', batch_size=2)
    np.testing.assert_allclose(found, encoder.encode(files), atol=1e-4)
    texts = model.encode([dict(text=['a', 'b'])], task_metadata=None)
    np.testing.assert_allclose(texts, encoder.encode(['a', 'b']))
    with pytest.raises(ValueError, match='either text or video'):
        model.encode([dict(image=[])], task_metadata=None)

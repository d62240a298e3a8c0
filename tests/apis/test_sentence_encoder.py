"""One method for texts and videos, as sentence-transformers has it."""

import inspect
from importlib import import_module
from types import SimpleNamespace

import av
import numpy as np
import pytest
import torch

import mmclip4clip
from mmclip4clip.apis.mteb_encoder import MTEBEncoder
from mmclip4clip.apis.sentence_encoder import SentenceEncoder
from mmclip4clip.datasets.video_readers import VideoReadError
from mmclip4clip.evaluation.functional.ranking import ranks_of_videos, recall_figures

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
    np.testing.assert_allclose(scores, encoder.model.similarity(texts[:1], videos), atol=1e-6)
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


def test_an_exported_model_is_refused_as_such(tmp_path):
    (tmp_path / 'export.json').write_text('{}')
    with pytest.raises(ValueError, match='was exported to ONNX: .* load its checkpoint'):
        SentenceEncoder(tmp_path)


class Decoder:
    """The part of torchcodec's VideoDecoder that is used."""

    def __init__(self, path):
        with av.open(path) as container:
            frames = [frame.to_ndarray(format='rgb24') for frame in container.decode(video=0)]
            self.metadata = SimpleNamespace(average_fps=float(container.streams.video[0].average_rate))
        self.frames = torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2)

    def __getitem__(self, key):
        return self.frames[key]


def test_batches_of_mteb_have_the_vectors_of_the_files(encoder, tested):
    files, model = tested.files[:3], MTEBEncoder(encoder.model)
    batches = [
        dict(video=[Decoder(file) for file in files[:2]], id=['0', '1']),
        dict(video=files[2:], id=['2']),
    ]
    found = model.encode(batches, task_metadata=None, hf_split='test', hf_subset='default', batch_size=2)
    np.testing.assert_allclose(found, encoder.encode(files), atol=1e-5)
    texts = model.encode([dict(text=['a', 'b'])], task_metadata=None)
    np.testing.assert_allclose(texts, encoder.encode(['a', 'b']))
    with pytest.raises(ValueError, match='either text or video'):
        model.encode([dict(image=[])], task_metadata=None)


def test_mteb_finds_the_recall_of_our_metric(encoder, tested, tmp_path):
    """A made task: each caption looks for its video."""
    mteb = pytest.importorskip('mteb', reason='mteb is not installed')
    Dataset = import_module('datasets').Dataset
    AbsTaskRetrieval = import_module('mteb.abstasks.retrieval').AbsTaskRetrieval
    TaskMetadata = import_module('mteb.abstasks.task_metadata').TaskMetadata

    captions = [(caption, n) for n, record in enumerate(tested.records) for caption in record['captions']]

    class MadeTask(AbsTaskRetrieval):
        metadata = TaskMetadata(
            name='MadeTask',
            description='Moving shapes.',
            dataset=dict(path='made', revision='1'),
            type='Any2AnyRetrieval',
            category='t2v',
            modalities=['text', 'video'],
            eval_splits=['test'],
            eval_langs=['eng-Latn'],
            main_score='hit_rate_at_1',
        )

        def load_data(self, **kwargs):
            numbers = [str(n) for n in range(len(captions))]
            self.dataset = dict(
                default=dict(
                    test=dict(
                        corpus=Dataset.from_dict(
                            dict(id=[f'v{n}' for n in range(len(tested.files))], video=tested.files)
                        ),
                        queries=Dataset.from_dict(dict(id=numbers, text=[text for text, _ in captions])),
                        relevant_docs={n: {f'v{captions[int(n)][1]}': 1} for n in numbers},
                        top_ranked=None,
                    )
                )
            )
            self.data_loaded = True

    results = mteb.evaluate(MTEBEncoder(encoder.model), MadeTask(), cache=None)
    (scores,) = results.task_results[0].scores['test']
    similarity = encoder.model.similarity([text for text, _ in captions], tested.files)
    owner = np.array([n for _, n in captions])
    expected = recall_figures(ranks_of_videos(similarity, owner))
    for rank in (1, 5, 10):
        assert scores[f'hit_rate_at_{rank}'] == pytest.approx(expected[f'R{rank}'] / 100, abs=1e-5)

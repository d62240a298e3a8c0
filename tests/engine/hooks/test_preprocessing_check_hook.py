"""Tokenizers with equal start and end tokens, whose ids nothing else tells apart."""
from types import SimpleNamespace

import pytest
from mmcv.transforms import RandomApply

from mmclip4clip.datasets import TokenizeCaptions, TokenizeTargets
from mmclip4clip.datasets.tokenizer import train_tokenizer
from mmclip4clip.engine import PreprocessingCheckHook, run_parts


@pytest.fixture(scope='module')
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp('tokenizers')
    for name, caption in (('shapes', 'a red circle grows'), ('again', 'a red circle grows'),
                          ('pets', 'my dog eats much food')):
        train_tokenizer([caption] * 3, root / name)
    return root


def runner(folders, model, reads, writes=None, tied=True, wrap=False):
    transforms = [TokenizeCaptions(str(folders / reads))]
    transforms += [TokenizeTargets(str(folders / writes))] if writes else []
    dataset = SimpleNamespace(pipeline=SimpleNamespace(transforms=transforms))
    if wrap:
        dataset = SimpleNamespace(datasets=[SimpleNamespace(dataset=dataset)])
    decoder = SimpleNamespace(borrowed_parameters=lambda: ['embeddings'] if tied else [])
    model = SimpleNamespace(tokenizer=TokenizeCaptions(str(folders / model)).tokenizer, decoder=decoder)
    return SimpleNamespace(model=model, train_dataloader=SimpleNamespace(dataset=dataset), _load_from='c.pth')


@pytest.mark.parametrize('wrap', [False, True])
def test_captions_in_words_of_another_tokenizer_are_refused(folders, wrap):
    hook = PreprocessingCheckHook()
    hook.before_train(runner(folders, 'shapes', 'again', wrap=wrap))
    with pytest.raises(ValueError, match='learns captions in words of .*pets.* writes with .*shapes'):
        hook.before_train(runner(folders, 'shapes', 'pets', wrap=wrap))
    with pytest.raises(ValueError, match='learns captions in words of .*pets'):
        hook.before_train(runner(folders, 'shapes', 'shapes', 'pets', tied=False, wrap=wrap))


def test_every_one_of_several_datasets_is_looked_at(folders):
    right, wrong = (runner(folders, 'shapes', reads, wrap=True) for reads in ('shapes', 'pets'))
    right.train_dataloader.dataset.datasets += wrong.train_dataloader.dataset.datasets
    with pytest.raises(ValueError, match='learns captions in words of .*pets'):
        PreprocessingCheckHook().before_train(right)


def test_a_tied_decoder_learns_only_the_words_of_its_embeddings(folders):
    hook = PreprocessingCheckHook()
    hook.before_train(runner(folders, 'pets', 'shapes', 'pets', tied=False))
    with pytest.raises(ValueError, match='tied to the embeddings of .*shapes.*pets.*tie_embeddings'):
        hook.before_train(runner(folders, 'pets', 'shapes', 'pets'))


def test_tokenizers_inside_other_transforms_are_compared_too(folders):
    wrapped = runner(folders, 'shapes', 'pets')
    pipeline = wrapped.train_dataloader.dataset.pipeline
    pipeline.transforms = [RandomApply(pipeline.transforms, prob=1)]
    with pytest.raises(ValueError, match='learns captions in words of .*pets'):
        PreprocessingCheckHook().before_train(wrapped)


def test_a_checkpoint_is_loaded_with_the_words_that_it_has_learnt(folders):
    hook, checkpoint = PreprocessingCheckHook(), {}
    hook.before_save_checkpoint(runner(folders, 'shapes', 'shapes'), checkpoint)
    hook.after_load_checkpoint(runner(folders, 'again', 'again'), checkpoint)
    hook.after_load_checkpoint(runner(folders, 'pets', 'pets'), {})  # made before there was a digest
    with pytest.raises(RuntimeError, match='c.pth has learnt other words than .*pets'):
        hook.after_load_checkpoint(runner(folders, 'pets', 'pets'), checkpoint)


def test_models_that_do_not_write_are_not_looked_at(folders):
    retriever, checkpoint = SimpleNamespace(model=SimpleNamespace(), _load_from=None), {}
    hook = PreprocessingCheckHook()
    hook.before_train(retriever)
    hook.before_save_checkpoint(retriever, checkpoint)
    hook.after_load_checkpoint(retriever, dict(decoder_vocabulary='x'))
    assert 'decoder_vocabulary' not in checkpoint


def test_a_wrapped_model_is_looked_at_and_a_checkpoint_that_is_no_dict_left_to_others(folders, monkeypatch):
    wrapped = runner(folders, 'shapes', 'pets')
    wrapped.model = SimpleNamespace(module=wrapped.model)
    monkeypatch.setattr(run_parts, 'is_model_wrapper', lambda model: hasattr(model, 'module'))
    with pytest.raises(ValueError, match='learns captions in words of .*pets'):
        PreprocessingCheckHook().before_train(wrapped)
    PreprocessingCheckHook().after_load_checkpoint(wrapped, 'no dict')

"""Tokenizers with equal start and end tokens, whose ids nothing else tells apart."""

from types import SimpleNamespace

import pytest
import torch
from mmaction.registry import HOOKS
from mmcv.transforms import RandomApply
from mmengine.dataset import ConcatDataset

from mmclip4clip.datasets import TokenizeCaptions, TokenizeTargets
from mmclip4clip.engine import PreprocessingCheckHook, runner_access
from mmclip4clip.engine.hooks import preprocessing_check_hook
from mmclip4clip.tokenizers.loading import train_tokenizer

from .runs import dataset, run


@pytest.fixture(scope='module')
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp('tokenizers')
    for name, caption in (
        ('shapes', 'a red circle grows'),
        ('again', 'a red circle grows'),
        ('pets', 'my dog eats much food'),
    ):
        train_tokenizer([caption] * 3, root / name)
    return root


def runner(folders, model, reads, writes=None, tied=True, wrap=False):
    transforms = [TokenizeCaptions(str(folders / reads))]
    transforms += [TokenizeTargets(str(folders / writes))] if writes else []
    dataset = SimpleNamespace(pipeline=SimpleNamespace(transforms=transforms))
    if wrap:
        dataset = SimpleNamespace(datasets=[SimpleNamespace(dataset=dataset)])
    decoder = SimpleNamespace(tied_parameters=lambda: ['embeddings'] if tied else [])
    model = SimpleNamespace(tokenizer=TokenizeCaptions(str(folders / model)).tokenizer, decoder=decoder)
    return SimpleNamespace(model=model, train_dataloader=SimpleNamespace(dataset=dataset), _load_from='c.pth')


@pytest.mark.parametrize('wrap', [False, True])
def test_captions_in_words_of_another_tokenizer_are_refused(folders, wrap):
    hook = PreprocessingCheckHook()
    hook.before_train(runner(folders, 'shapes', 'again', wrap=wrap))
    with pytest.raises(ValueError, match='tokenizes target captions with .*pets.* generates with .*shapes'):
        hook.before_train(runner(folders, 'shapes', 'pets', wrap=wrap))
    with pytest.raises(ValueError, match='tokenizes target captions with .*pets'):
        hook.before_train(runner(folders, 'shapes', 'shapes', 'pets', tied=False, wrap=wrap))


def test_every_one_of_several_datasets_is_looked_at(folders):
    right, wrong = (runner(folders, 'shapes', reads, wrap=True) for reads in ('shapes', 'pets'))
    right.train_dataloader.dataset.datasets += wrong.train_dataloader.dataset.datasets
    with pytest.raises(ValueError, match='tokenizes target captions with .*pets'):
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
    with pytest.raises(ValueError, match='tokenizes target captions with .*pets'):
        PreprocessingCheckHook().before_train(wrapped)


def test_a_checkpoint_is_loaded_with_the_words_that_it_has_learned(folders):
    hook, checkpoint = PreprocessingCheckHook(), {}
    hook.before_save_checkpoint(runner(folders, 'shapes', 'shapes'), checkpoint)
    hook.after_load_checkpoint(runner(folders, 'again', 'again'), checkpoint)
    hook.after_load_checkpoint(runner(folders, 'pets', 'pets'), {})  # made before there was a digest
    with pytest.raises(RuntimeError, match='c.pth was trained with another vocabulary than .*pets'):
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
    monkeypatch.setattr(runner_access, 'is_model_wrapper', lambda model: hasattr(model, 'module'))
    with pytest.raises(ValueError, match='tokenizes target captions with .*pets'):
        PreprocessingCheckHook().before_train(wrapped)
    PreprocessingCheckHook().after_load_checkpoint(wrapped, 'no dict')


def captions(folders, name, **kwargs):
    return dataset([TokenizeCaptions(str(folders / name), kwargs.pop('max_words', 32))], **kwargs)


@pytest.fixture
def log(monkeypatch):
    lines = []
    monkeypatch.setattr(preprocessing_check_hook, 'print_log', lambda text, **kwargs: lines.append(text))
    return lines


def test_training_and_evaluation_must_share_a_tokenizer(folders, log):
    model = SimpleNamespace()
    PreprocessingCheckHook().before_run(run(model, captions(folders, 'shapes'), captions(folders, 'again')))
    joined = ConcatDataset([captions(folders, 'shapes'), captions(folders, 'pets')])
    for parts in (dict(train=captions(folders, 'shapes'), val=captions(folders, 'pets')), dict(test=joined)):
        with pytest.raises(
            ValueError,
            match='the .* pipeline has tokenizer=.*shapes.*, the evaluation '
            'pipeline tokenizer=.*pets.*, other tokens or ids',
        ):
            PreprocessingCheckHook().before_run(run(model, **parts))
    assert not log


def test_a_query_bank_is_compared_with_the_test(folders, log):
    def check(name, mode='all', max_words=32):
        bank = SimpleNamespace(tokenize=TokenizeCaptions(str(folders / name), max_words), caption_mode=mode)
        PreprocessingCheckHook().before_run(
            run(SimpleNamespace(), test=captions(folders, 'shapes'), bank=bank)
        )

    check('again')
    assert not log
    with pytest.raises(ValueError, match='the query_bank tokenizer=.*pets.* use the same tokenizer for both'):
        check('pets')
    check('shapes', 'paragraph', 16)
    assert [line.split(':')[0] for line in log] == [
        'query_bank.max_words=16, but max_words=32 in the dataset',
        'query_bank.caption_mode=paragraph, but caption_mode=all in the dataset',
    ]


def saved(folders, **kwargs):
    checkpoint = {}
    PreprocessingCheckHook().before_save_checkpoint(
        run(SimpleNamespace(), captions(folders, 'shapes', caption_mode='each', **kwargs)), checkpoint
    )
    return checkpoint


def test_without_an_evaluation_the_training_tells_what_can_be_compared(folders, log):
    for max_words in (32, 20):
        test = run(SimpleNamespace(), test=captions(folders, 'shapes', max_words=max_words))
        PreprocessingCheckHook().after_load_checkpoint(test, saved(folders))
    assert len(log) == 1 and 'evaluation: max_words: 32 -> 20' in log[0]
    assert 'caption_mode' not in log[0]  # training draws one caption, a test asks with all


def test_any_of_several_pipelines_of_the_checkpoint_will_do(folders, log):
    checkpoint, part = {}, [captions(folders, 'shapes', max_words=n) for n in (20, 32)]
    both = run(SimpleNamespace(), test=ConcatDataset(part))
    PreprocessingCheckHook().before_save_checkpoint(both, checkpoint)
    PreprocessingCheckHook().after_load_checkpoint(run(SimpleNamespace(), test=part[1]), checkpoint)
    assert not log


@pytest.mark.parametrize(
    'entry', [dict(mean='x', captions=3), dict(training=[4], evaluation=['x']), dict(captions=['a'])]
)
def test_an_entry_that_is_damaged_is_named(folders, entry):
    test = run(
        SimpleNamespace(data_preprocessor=SimpleNamespace(mean=torch.zeros(3))),
        test=captions(folders, 'shapes'),
    )
    with pytest.raises(RuntimeError, match="c.pth has a meta.'mmclip4clip'. that cannot be read"):
        PreprocessingCheckHook().after_load_checkpoint(
            test, dict(meta=dict(mmclip4clip=dict(preprocessing=entry)))
        )


def test_a_checkpoint_that_tells_nothing_is_said_once(folders, log):
    PreprocessingCheckHook().after_load_checkpoint(
        run(SimpleNamespace(), test=captions(folders, 'shapes')), dict(meta={}, state_dict={})
    )
    assert len(log) == 1 and 'c.pth does not specify its tokenizer and preprocessing' in log[0]


def test_the_former_name_works_and_says_the_new_one(log):
    hook = HOOKS.build(dict(type='TokenizerCheckHook'))
    assert isinstance(hook, PreprocessingCheckHook)
    assert log == ['TokenizerCheckHook is now called PreprocessingCheckHook: change its name in the config']

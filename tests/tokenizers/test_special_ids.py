import pytest
import transformers
from tokenizers import normalizers

from mmclip4clip.datasets import TokenizeCaptions
from mmclip4clip.tokenizers import load_tokenizer
from mmclip4clip.tokenizers.caption_text import special_ids

from ..encoders import word_tokenizer

CAPTIONS = ['a red circle', 'a blue square']


@pytest.mark.parametrize('kind, start', [('siglip', []), ('chinese_clip', [0]), ('metaclip_2', [0])])
def test_captions_get_the_special_tokens_of_their_tokenizer(tmp_path, kind, start):
    word_tokenizer(CAPTIONS, kind).save_pretrained(tmp_path)
    assert special_ids(load_tokenizer(str(tmp_path))) == (start, [3])
    tokenize = TokenizeCaptions(str(tmp_path), max_words=4)
    results = tokenize(dict(captions=[*CAPTIONS, 'a red blue circle square', 'red']))
    own = tokenize.tokenizer
    words = own('a red blue circle square', add_special_tokens=False)['input_ids']
    kept = words[: 3 - len(start)]
    assert results['tokens'][2].tolist() == [*start, *kept, 3]
    whole = own('red')['input_ids']
    assert results['tokens'][3][: len(whole)].tolist() == whole
    assert results['text_mask'][3].sum() == len(whole)


def test_a_folder_without_words_is_refused(tmp_path):
    word_tokenizer([], 'siglip').save_pretrained(tmp_path)
    with pytest.raises(OSError, match='no CLIP tokenizer in that folder'):
        TokenizeCaptions(str(tmp_path))


@pytest.mark.skipif(not hasattr(transformers, 'Siglip2Tokenizer'), reason='transformers 4 lacks the class')
def test_siglip_2_reads_lowercase_whatever_its_files_say(tmp_path):
    tokenizer = transformers.Siglip2Tokenizer().train_new_from_iterator(CAPTIONS, 300)
    tokenizer.backend_tokenizer.normalizer = normalizers.Replace(' ', '▁')
    tokenizer.save_pretrained(tmp_path)
    tokenize = TokenizeCaptions(str(tmp_path))
    texts = ('A RED CIRCLE', 'a red circle')
    loud, quiet = (tokenize(dict(captions=[text]))['tokens'].tolist() for text in texts)
    assert loud == quiet

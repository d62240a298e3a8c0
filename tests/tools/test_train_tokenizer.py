from mmclip4clip.tokenizers.loading import load_tokenizer


def test_a_tokenizer_is_trained_on_annotation_files(tool, shapes, capsys):
    tool('train_tokenizer.py', shapes / 'train.json', 'tokenizer')
    tokenizer = load_tokenizer('tokenizer')
    assert f'{len(tokenizer)} tokens from 48 captions' in capsys.readouterr().out
    assert len(tokenizer('red')['input_ids']) == 3

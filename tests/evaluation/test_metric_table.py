from mmclip4clip.evaluation.metric_table import format_caption_table, format_table


def test_the_table_has_a_row_a_direction():
    text = format_table(dict(R1=12.34, MdR=2.0, v2t_R1=56.78, v2t_MdR=1.0, group_R1=50.0))
    rows = [line for line in text.splitlines() if 'to' in line]
    assert 'R@1' in text and '12.3' in rows[0] and '2.0' in rows[0]
    assert '56.8' in rows[1] and 'video to text' in rows[1]
    assert '50.0 % of captions' in text


def test_post_processing_adds_rows_and_a_word_of_caution():
    plain = dict(R1=1.0, MnR=2.0, v2t_R1=3.0, v2t_MnR=4.0)
    dual = dict(dsl_R1=51.0, dsl_MnR=5.0, dsl_v2t_R1=52.0, dsl_v2t_MnR=5.0)
    rows = format_table(dict(plain, **dual, qb_R1=53.0, qb_MnR=5.0)).splitlines()
    assert [row.split()[-4] for row in rows if '│' in row] == ['1.0', '3.0', '51.0', '52.0', '53.0']
    assert [row.split('│')[1].strip() for row in rows if '51.0' in row] == ['text to video, dual softmax']
    assert [row.split('│')[1].strip() for row in rows if '53.0' in row] == ['text to video, QB-Norm']
    assert rows[-1].startswith('not comparable with the plain rows: dual softmax')
    assert 'QB-Norm' not in format_table(dict(plain, **dual))
    assert 'not comparable' not in format_table(plain)


def test_captions_have_a_row_and_what_is_to_be_known_of_it():
    figures = dict(Bleu_1=1.0, Bleu_2=2.0, Bleu_3=3.0, Bleu_4=4.25, METEOR=5.0, ROUGE_L=6.0, CIDEr=107.89)
    lines = format_caption_table(figures).splitlines()
    assert lines[1].split()[1::2] == ['BLEU-1', 'BLEU-2', 'BLEU-3', 'BLEU-4', 'METEOR', 'ROUGE-L', 'CIDEr']
    assert lines[3].split()[1::2] == ['1.0', '2.0', '3.0', '4.2', '5.0', '6.0', '107.9'] and len(lines) == 5
    del figures['METEOR']
    text = format_caption_table(dict(figures, empty=3.0))
    assert 'no METEOR' in text and text.endswith('generated captions without a word, which score 0: 3')
    text = format_caption_table(dict(figures, empty=0.0, unreadable_videos=2.0))
    assert 'without a word' not in text and text.endswith('videos that cannot be read, which score 0: 2')

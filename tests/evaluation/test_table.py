from mmclip4clip.evaluation.table import format_table


def test_the_table_has_a_row_a_direction():
    text = format_table(dict(R1=12.34, MdR=2., v2t_R1=56.78, v2t_MdR=1., group_R1=50.))
    rows = [line for line in text.splitlines() if 'to' in line]
    assert 'R@1' in text and '12.3' in rows[0] and '2.0' in rows[0]
    assert '56.8' in rows[1] and 'video to text' in rows[1]
    assert '50.0 % of captions' in text


def test_post_processing_adds_rows_and_a_word_of_caution():
    plain = dict(R1=1., MnR=2., v2t_R1=3., v2t_MnR=4.)
    dual = dict(dsl_R1=51., dsl_MnR=5., dsl_v2t_R1=52., dsl_v2t_MnR=5.)
    rows = format_table(dict(plain, **dual, qb_R1=53., qb_MnR=5.)).splitlines()
    assert [row.split()[-4] for row in rows if '│' in row] == ['1.0', '3.0', '51.0', '52.0', '53.0']
    assert [row.split('│')[1].strip() for row in rows if '51.0' in row] == ['text to video, dual softmax']
    assert [row.split('│')[1].strip() for row in rows if '53.0' in row] == ['text to video, QB-Norm']
    assert rows[-1].startswith('not comparable with the plain rows: dual softmax')
    assert 'QB-Norm' not in format_table(dict(plain, **dual))
    assert 'not comparable' not in format_table(plain)

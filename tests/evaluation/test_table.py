from mmclip4clip.evaluation.table import format_table


def test_the_table_has_a_row_a_direction():
    text = format_table(dict(R1=12.34, MdR=2., v2t_R1=56.78, v2t_MdR=1., group_R1=50.))
    rows = [line for line in text.splitlines() if 'to' in line]
    assert 'R@1' in text and '12.3' in rows[0] and '2.0' in rows[0]
    assert '56.8' in rows[1] and 'video to text' in rows[1]
    assert '50.0 % of captions' in text

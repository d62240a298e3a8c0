import json

from mmclip4clip.apis.doctor import Finding, as_json, as_text, has_problems

FINDINGS = [
    Finding('torch', 'ok', '2.13'),
    Finding('java', 'warning', 'not found', 'install it'),
    Finding('checkpoint guard', 'problem', 'ran', 'load none'),
]


def test_text_has_a_line_per_finding_its_advice_and_the_counts():
    lines = as_text(FINDINGS).splitlines()
    assert lines[0].split() == ['ok', 'torch', '2.13']
    assert lines[2].strip() == '-> install it' and lines[4].strip() == '-> load none'
    assert lines[-1] == '1 ok, 1 warnings, 1 problems'


def test_json_has_the_same_findings():
    content = json.loads(as_json(FINDINGS))
    assert content['problems'] is True
    assert [Finding(**finding) for finding in content['findings']] == FINDINGS


def test_warnings_are_no_problems():
    assert has_problems(FINDINGS) and not has_problems(FINDINGS[:2]) and not has_problems([])

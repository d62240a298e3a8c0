import json

import pytest

from mmclip4clip.apis.doctor import Finding


def test_text_and_json_name_the_same_findings(tool, capsys):
    with pytest.raises(SystemExit) as ended:
        tool('doctor.py')
    assert ended.value.code == 0
    text = capsys.readouterr().out
    with pytest.raises(SystemExit):
        tool('doctor.py', '--json')
    findings = json.loads(capsys.readouterr().out)['findings']
    assert len(findings) > 20
    for finding in findings:
        assert finding['name'] in text and finding['status'] in ('ok', 'warning')


def test_a_problem_gives_exit_code_1(tool, monkeypatch, capsys):
    found = [Finding('torch', 'problem', 'too old', 'pip install torch')]
    monkeypatch.setattr('mmclip4clip.apis.doctor.examine', lambda *args: found)
    with pytest.raises(SystemExit) as ended:
        tool('doctor.py')
    assert ended.value.code == 1 and 'pip install torch' in capsys.readouterr().out


@pytest.mark.parametrize('flags', [(), ('--json',)])
def test_a_package_that_cannot_be_imported_is_the_first_problem(tool, monkeypatch, capsys, flags):
    monkeypatch.setitem(__import__('sys').modules, 'mmclip4clip.apis.command_line', None)
    with pytest.raises(SystemExit) as ended:
        tool('doctor.py', *flags)
    assert ended.value.code == 1
    printed = capsys.readouterr().out
    assert 'mmclip4clip.apis' in printed and 'problem' in printed

import pytest

from mmclip4clip.checkpoints import formats


@pytest.mark.parametrize('warn', [True, False])
def test_the_former_name_of_the_native_kind_is_accepted_and_reported(monkeypatch, warn):
    log = []
    monkeypatch.setattr(formats, 'print_log', lambda message, **kwargs: log.append(message))
    assert formats.current_name('ours', warn) == 'mmclip4clip'
    assert log == ["the kind 'ours' is called 'mmclip4clip' now"] * warn
    assert formats.current_name('openai') == 'openai' and len(log) == warn

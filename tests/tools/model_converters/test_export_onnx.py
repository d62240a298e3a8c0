import json

import mmclip4clip

from ...encoders import save_encoder


def test_the_tool_writes_what_load_reads(tool, capsys, tmp_path):
    encoder = save_encoder(tmp_path / 'clip', 'clip', ['a red circle'])
    tool('model_converters/export_onnx.py', encoder, tmp_path / 'onnx', '--int8')
    assert f'--model {tmp_path}/onnx' in capsys.readouterr().out
    settings = json.loads((tmp_path / 'onnx/export.json').read_text())
    assert settings['weights'] == 'int8' and settings['identity']['name'] == str(encoder)
    assert mmclip4clip.load(tmp_path / 'onnx').encode_text('a red circle').shape == (1, 64)

from ..conftest import ROOT


def test_training_steps_of_configs_are_timed_side_by_side(tool, capsys, shapes, monkeypatch):
    monkeypatch.setenv('MOVING_SHAPES', str(shapes))
    configs = [
        ROOT / f'configs/retrieval/clip4clip/{head}_vit-tiny-p16-res64_1xb64-f4-8e_moving-shapes-rgb.py'
        for head in ('clip4clip', 'clip4clip-wti')
    ]
    tool('analysis_tools/benchmark_steps.py', *configs, '--batch-size', 2, '--words', 5, '--steps', 1)
    printed = capsys.readouterr().out
    assert 'MeanAdapter' in printed and 'WTIAdapter' in printed

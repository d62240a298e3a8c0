import numpy as np
import torch
from mmengine.runner import CheckpointLoader

from mmclip4clip.apis.doctor import self_checks
from mmclip4clip.moving_shapes.generator import write_video


def test_installed_backends_decode_what_was_written_and_checkpoints_are_guarded():
    findings = {finding.name: finding for finding in self_checks.examine_package()}
    assert {finding.status for finding in findings.values()} == {'ok'}
    assert findings['video by pyav'].value == '6 frames of 64x64 decoded as written'
    assert 'refused' in findings['checkpoint guard'].value


def test_wrong_frames_and_damaged_files_are_problems(tmp_path):
    frames = self_checks.gray_frames()
    write_video(tmp_path / 'a.mp4', frames)
    reversed_clip = self_checks.check_decoding('pyav', tmp_path / 'a.mp4', np.ascontiguousarray(frames[::-1]))
    assert reversed_clip.status == 'problem' and 'frames differ by up to' in reversed_clip.value
    (tmp_path / 'b.mp4').write_bytes(b'no video')
    assert self_checks.check_decoding('pyav', tmp_path / 'b.mp4', frames).status == 'problem'


def test_a_loader_that_runs_code_is_a_problem(tmp_path, monkeypatch):
    def load(filename, map_location=None):
        return torch.load(filename, weights_only=False)

    monkeypatch.setattr(CheckpointLoader, 'load_checkpoint', load)
    finding = self_checks.check_guard(tmp_path)
    assert finding.status == 'problem' and 'ran its code' in finding.value

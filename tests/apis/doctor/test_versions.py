from importlib import metadata

import pytest

from mmclip4clip.apis.doctor.versions import check_presence, check_range, examine_versions


@pytest.mark.parametrize(
    'found, status, shown',
    [
        ({}, 'problem', 'not installed'),
        ({'mmcv': '2.0.1'}, 'ok', 'mmcv 2.0.1'),
        ({'mmcv': '2.0.1+cu124'}, 'ok', '2.0.1+cu124'),
        ({'mmcv': '1.7.0'}, 'problem', 'mmcv 1.7.0, >=2.0,<2.3 is needed'),
        ({'mmcv-lite': '2.0.1', 'mmcv': '2.1.0'}, 'warning', 'provide the same module'),
    ],
)
def test_versions_are_compared_with_their_range(found, status, shown):
    finding = check_range('mmcv-lite', found, '>=2.0,<2.3')
    assert finding.status == status and shown in finding.value
    assert bool(finding.advice) == (status != 'ok')


def test_what_is_optional_may_be_missing():
    assert check_presence('torchcodec', {}, needed=False).status == 'ok'
    assert check_presence('numpy', {}, needed=True).status == 'problem'
    twice = {'decord': '0.6.0', 'eva-decord': '0.6.1'}
    assert check_presence('decord', twice, needed=False).status == 'warning'


def test_all_packages_that_bug_reports_need_are_listed():
    findings = {finding.name: finding for finding in examine_versions()}
    assert {
        'python',
        'system',
        'mmclip4clip',
        'torch',
        'numpy',
        'mmengine',
        'mmaction2',
        'transformers',
    } <= set(findings)
    assert {'av', 'opencv'} <= set(findings) and any('decord' in name for name in findings)
    assert metadata.version('torch') in findings['torch'].value
    assert not [finding for finding in findings.values() if finding.status == 'problem']

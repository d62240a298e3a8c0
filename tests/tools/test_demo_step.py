import re
import subprocess
import time

from .conftest import ROOT

STEPS = 6


def show(folder, number, text='train'):
    done = subprocess.run(
        ['bash', str(ROOT / 'tools/demo_step.sh'), str(folder), str(number), text],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_each_step_is_numbered_and_the_rest_is_estimated_by_the_time_so_far(tmp_path):
    assert show(tmp_path, 1) == 'step 1 of 6: train'
    (tmp_path / '.started').write_text(str(int(time.time()) - 150))  # so long for 5 % of the work
    left = re.fullmatch(r'step 2 of 6: train \(2 min 3\d s so far, about (\d+) min left\)', show(tmp_path, 2))
    assert 47 <= int(left[1]) <= 50  # 19 times as long
    assert show(tmp_path, 1) == 'step 1 of 6: train'  # begins anew
    assert show(tmp_path, 6).endswith('about 0 min left)')


def test_the_demo_announces_all_steps_in_order():
    makefile = (ROOT / 'Makefile').read_text()
    demo = makefile[makefile.index('\ndemo:') : makefile.index('\nseeds:')]
    announced = re.findall(r"demo_step.sh \$\(DEMO\) (\d) '", demo)
    assert announced == [str(number) for number in range(1, STEPS + 1)]
    assert len(re.findall(r'python tools/(?:dataset_converters|train|test)', demo)) == STEPS - 1
    assert (
        len(re.findall(r'mmclip4clip (?:index|search) ', demo)) == 3
    )  # and the line that tells how to search


def test_threads_of_make_targets_sleep_unless_asked_otherwise(tmp_path):
    (tmp_path / 'show.mk').write_text(f'include {ROOT}/Makefile\nshow:\n\t@echo $$OMP_WAIT_POLICY\n')
    for given, expected in (([], 'PASSIVE'), (['OMP_WAIT_POLICY=ACTIVE'], 'ACTIVE')):
        command = ['make', '-s', '-f', str(tmp_path / 'show.mk'), 'show', *given]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
        assert done.stdout.strip() == expected

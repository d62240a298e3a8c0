"""Run ``summarize_runs.py``, the current name of this script."""

import runpy
import sys
from pathlib import Path

if __name__ == '__main__':
    print('warning: summarise_runs.py is now called summarize_runs.py', file=sys.stderr)
    runpy.run_path(str(Path(__file__).with_name('summarize_runs.py')), run_name='__main__')

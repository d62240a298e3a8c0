"""Check versions, machine, video decoding and checkpoint loading, as ``mmclip4clip doctor``.

The exit code is 1 if there are problems. Nothing is downloaded or changed.
"""

import sys
from importlib.util import find_spec

if __name__ == '__main__':
    if find_spec('mmclip4clip') is None:
        raise SystemExit('mmclip4clip is not installed: pip install -e .')
    sys.argv[:1] = ['mmclip4clip', 'doctor']
    from mmclip4clip.__main__ import main

    main()

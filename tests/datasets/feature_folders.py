"""Small folders of features with random values."""

from pathlib import Path

import torch

from mmclip4clip.datasets.feature_files import FeatureSettings, StoredVideo, shard_path, write_shard

PARTS = ['frames', 'text', 'tokens']


def settings(**changes) -> FeatureSettings:
    """Settings of three videos in shards of two, with what a test changes."""
    made = dict(
        split='test',
        parts=PARTS,
        dtype='float32',
        num_videos=3,
        shard_size=2,
        batch_size=2,
        ann_file='test.json',
        content='c0',
        caption_mode='all',
        preprocessing=dict(sampling=[dict(type='SampleEvenly', num_frames=4)], max_words=24),
        tokenizer=None,
        normalization=dict(mean=[0.0] * 3, std=[1.0] * 3),
        encoder='ab' * 16,
        adapter='MeanAdapter',
        head=None,
        width=8,
        fp16=False,
        seed=0,
        logit_scale=4.0,
        logit_scale_key='backbone.clip.logit_scale',
    )
    return FeatureSettings(**{**made, **changes})


def random_videos(lengths=(4, 2, 3), captions=(2, 1, 3), width=8, **infos) -> list[StoredVideo]:
    """Videos of these numbers of frames and captions; ``infos`` adds metainfo, a value for each."""
    videos = []
    for i, (frames, count) in enumerate(zip(lengths, captions)):
        info = dict(
            video_id=f'v{i}.mp4',
            video_key=f'k{i}',
            filename=f'videos/v{i}.mp4',
            captions=[f'caption {i} {n}' for n in range(count)],
        )
        info.update({key: values[i] for key, values in infos.items() if values[i] is not None})
        tokens = [torch.randn(2 + n, width) for n in range(count)]
        videos.append(StoredVideo(info, torch.randn(frames, width), torch.randn(count, width), tokens))
    return videos


def write_folder(folder: Path, videos: list[StoredVideo], half=False, **changes) -> Path:
    """Write a complete folder."""
    made = settings(num_videos=len(videos), **changes)
    folder.mkdir(parents=True, exist_ok=True)
    made.write(folder)
    for number in range(made.num_shards):
        part = videos[number * made.shard_size : (number + 1) * made.shard_size]
        write_shard(shard_path(folder, number), part, half=half)
    return folder

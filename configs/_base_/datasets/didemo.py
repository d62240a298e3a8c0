# DiDeMo, the first 31 s of a video against a paragraph: all its descriptions joined. 8395/1065/1004
# videos. 64 frames and 64 words.
dataset_type = 'VideoCaptionDataset'
data_root = 'data/video_retrieval/didemo'
pipeline = [
    dict(type='DecordInit'),
    dict(type='TimeWindow'),
    dict(type='SampleAtRate', fps=1, max_frames=64, cut='uniform'),
    dict(type='DecordDecode'),
    # Of what mmcv offers, nearest to the reference's anti-aliased bicubic on large videos.
    dict(type='Resize', scale=(-1, 224), interpolation='area'),
    dict(type='CenterCrop', crop_size=224),
    dict(type='FormatShape', input_format='NCHW'),
    dict(type='TokenizeCaptions', tokenizer='openai/clip-vit-base-patch32', max_words=64),
    dict(type='PackVideoCaptions')
]

train_dataloader = dict(
    batch_size=16,
    num_workers=8,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type=dataset_type,
        ann_file='train.json',
        data_root=data_root,
        data_prefix=dict(video='videos'),
        caption_mode='paragraph',
        pipeline=pipeline))
val_dataloader = dict(
    batch_size=16,
    num_workers=8,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        ann_file='val.json',
        data_root=data_root,
        data_prefix=dict(video='videos'),
        caption_mode='paragraph',
        test_mode=True,
        pipeline=pipeline))
test_dataloader = dict(
    batch_size=16,
    num_workers=8,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        ann_file='test.json',
        data_root=data_root,
        data_prefix=dict(video='videos'),
        caption_mode='paragraph',
        test_mode=True,
        pipeline=pipeline))

val_evaluator = dict(type='VideoTextRetrievalMetric')
test_evaluator = val_evaluator

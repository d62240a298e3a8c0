# The videos have 7 frames at 4 frames/s; every second one is used, alike from both ends.
dataset_type = 'VideoCaptionDataset'
data_root = '{{$MOVING_SHAPES:data/moving_shapes}}'
pipeline = [
    dict(type='DecodeVideo', sampling=dict(type='SampleAtRate', fps=2, max_frames=4)),
    dict(type='FormatShape', input_format='NCHW'),
    dict(type='TokenizeCaptions', tokenizer=f'{data_root}/tokenizer', max_words=24),
    dict(type='PackVideoCaptions')
]

train_dataloader = dict(
    batch_size=64,
    num_workers=2,
    persistent_workers=True,
    drop_last=True,
    # Colours and shapes first; then each clip meets its reversal, and only their order differs.
    sampler=dict(type='GroupedSampler', shuffle=True, first_epoch=4),
    dataset=dict(
        type=dataset_type,
        ann_file='train.json',
        data_root=data_root,
        data_prefix=dict(video='videos'),
        caption_mode='random',
        pipeline=pipeline))
val_dataloader = dict(
    batch_size=64,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        ann_file='val.json',
        data_root=data_root,
        data_prefix=dict(video='videos'),
        test_mode=True,
        pipeline=pipeline))
test_dataloader = dict(
    batch_size=64,
    num_workers=2,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        ann_file='test.json',
        data_root=data_root,
        data_prefix=dict(video='videos'),
        test_mode=True,
        pipeline=pipeline))

val_evaluator = dict(type='VideoTextRetrievalMetric')
test_evaluator = val_evaluator

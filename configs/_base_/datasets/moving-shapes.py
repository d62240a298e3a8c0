# The videos have 7 frames at 4 frames/s. Every second one is used, which is symmetric under reversal.
dataset_type = 'VideoCaptionDataset'
data_root = '{{$MOVING_SHAPES:data/moving_shapes}}'
decode = dict(type='DecodeVideo', sampling=dict(type='SampleAtRate', fps=2, max_frames=4))
format_shape = dict(type='FormatShape', input_format='NCHW')
tokenize = dict(type='TokenizeCaptions', tokenizer=f'{data_root}/tokenizer', max_words=24)
pack = dict(type='PackVideoCaptions')
pipeline = [decode, format_shape, tokenize, pack]

loader = dict(batch_size=64, num_workers=2)
train_dataloader = dict(
    **loader,
    persistent_workers=True,
    drop_last=True,
    # Colors and shapes first. Later batches contain reversed clips, which differ only in the order of frames.
    sampler=dict(type='GroupedSampler', shuffle=True, first_epoch=4),
    dataset=dict(
        type=dataset_type,
        ann_file='train.json',
        data_root=data_root,
        data_prefix=dict(video='videos'),
        caption_mode='random',
        pipeline=pipeline,
    ),
)
val_dataset = dict(
    type=dataset_type,
    ann_file='val.json',
    data_root=data_root,
    data_prefix=dict(video='videos'),
    test_mode=True,
    pipeline=pipeline,
)
test_dataloader = dict(
    **loader,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(val_dataset, ann_file='test.json'),
)
val_dataloader = dict(test_dataloader, persistent_workers=True, dataset=val_dataset)

val_evaluator = dict(type='VideoTextRetrievalMetric')
test_evaluator = val_evaluator

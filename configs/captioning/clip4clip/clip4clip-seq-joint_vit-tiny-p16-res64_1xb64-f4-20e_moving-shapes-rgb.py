# Starts from a retrieval checkpoint of the same CLIP and head (load_from), see the Makefile.
_base_ = '../../retrieval/clip4clip/clip4clip-seq_vit-tiny-p16-res64_1xb64-f4-8e_moving-shapes-rgb.py'

model = dict(
    type='CLIP4ClipCaptioner',
    tokenizer=f'{_base_.data_root}/tokenizer',
    decoder=dict(type='CaptionDecoder', num_layers=3, num_heads=4, dropout=0.3),
    generation=dict(method='beam', beam_size=5, max_new_tokens=20),
)

# Every video is decoded once, and comes 20 times, each time elsewhere on the grid of patches. Those of one
# color and motion meet in a batch: else few of a batch differ by the shape alone, and it need not be seen.
frames = dict(type='CacheFrames', folder=f'{_base_.data_root}/cache', max_gib=1, transforms=[_base_.decode])
shift = dict(type='RandomShift', pixels=6)
train_dataloader = dict(
    sampler=dict(first_epoch=0),
    dataset=dict(
        ann_file='train_by_shape.json',
        pipeline=[frames, shift, _base_.format_shape, _base_.tokenize, _base_.pack],
    ),
)

# The plain tokenizer, so that it runs without Java; METEOR is left out then.
val_evaluator = [
    dict(type='VideoTextRetrievalMetric'),
    dict(type='VideoCaptionMetric', java=False),
    dict(type='MovingShapesCaptionMetric'),
]
test_evaluator = val_evaluator

train_cfg = dict(max_epochs=20, val_begin=10, val_interval=10)
param_scheduler = dict(cosine_begin=10, end=20)
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=dict(decoder=dict(lr_mult=2.0))))

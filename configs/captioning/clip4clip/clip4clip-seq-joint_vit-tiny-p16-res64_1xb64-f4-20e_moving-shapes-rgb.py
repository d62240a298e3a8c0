# Starts from a retrieval checkpoint of the same CLIP and head (load_from), see the Makefile.
_base_ = '../../retrieval/clip4clip/clip4clip-seq_vit-tiny-p16-res64_1xb64-f4-8e_moving-shapes-rgb.py'

model = dict(
    type='CLIP4ClipCaptioner',
    tokenizer=f'{_base_.data_root}/tokenizer',
    decoder=dict(type='CaptionDecoder', num_layers=3, num_heads=4, dropout=0.3),
    generation=dict(method='beam', beam_size=5, max_new_tokens=20),
)

# Each video is decoded once and used 20 times, with different shifts on the grid of patches. Videos with the
# same color and motion are in the same batch, so that the model has to learn shapes to distinguish them.
frames = dict(type='CacheFrames', folder=f'{_base_.data_root}/cache', max_gib=1, transforms=[_base_.decode])
shift = dict(type='RandomShift', pixels=6)
train_dataloader = dict(
    sampler=dict(first_epoch=0),
    dataset=dict(
        ann_file='train_by_shape.json',
        pipeline=[frames, shift, _base_.format_shape, _base_.tokenize, _base_.pack],
    ),
)

# A plain tokenizer without METEOR, to run without Java.
val_evaluator = [
    dict(type='VideoTextRetrievalMetric'),
    dict(type='VideoCaptionMetric', java=False),
    dict(type='MovingShapesCaptionMetric'),
]
test_evaluator = val_evaluator

train_cfg = dict(max_epochs=20, val_begin=10, val_interval=10)
param_scheduler = dict(cosine_begin=10, end=20)
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=dict(decoder=dict(lr_mult=2.0))))

_base_ = [
    '../../_base_/models/clip4clip_vit-tiny-p16.py',
    '../../_base_/datasets/moving-shapes.py',
    '../../_base_/schedules/adamw-5e-4_8e.py',
    '../../_base_/default_runtime.py',
]

model = dict(
    adapter=dict(type='SeqTransformerAdapter', num_layers=2, num_heads=4, max_frames=16, start='random')
)

_base_ = [
    '../../_base_/models/clip4clip_vit-base-p32.py',
    '../../_base_/datasets/lsmdc.py',
    '../../_base_/schedules/modern.py',
    '../../_base_/default_runtime.py',
]

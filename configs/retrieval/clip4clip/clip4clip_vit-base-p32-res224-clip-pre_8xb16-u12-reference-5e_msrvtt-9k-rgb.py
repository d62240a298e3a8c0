# The reference's training on the frames of mmaction2's recipe.
_base_ = [
    '../../_base_/models/clip4clip_vit-base-p32.py',
    '../../_base_/datasets/msrvtt-9k.py',
    '../../_base_/schedules/reference.py',
    '../../_base_/default_runtime.py'
]

model = dict(
    gather='local_gradient', loss=dict(type='SymmetricContrastiveLoss', same_video='negative'))
train_dataloader = dict(drop_last=True)

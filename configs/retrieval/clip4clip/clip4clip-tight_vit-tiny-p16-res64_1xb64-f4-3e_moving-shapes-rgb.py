# The tight head learns almost nothing from scratch, so it should start from a CLIP that was trained with
# another head: set model.backbone.init_cfg, see the target seeds of the Makefile. This CLIP has learned
# colors and shapes, so batches contain reversed clips from the first epoch on.
_base_ = [
    '../../_base_/models/clip4clip_vit-tiny-p16.py',
    '../../_base_/datasets/moving-shapes.py',
    '../../_base_/schedules/adamw-5e-4_8e.py',
    '../../_base_/default_runtime.py',
]

# Score all 64 x 64 pairs of a batch at once, so nothing is computed twice.
model = dict(
    adapter=dict(
        type='TightAdapter',
        width=128,
        num_layers=2,
        num_heads=4,
        max_frames=16,
        start='random',
        pairs_at_once=4096,
    )
)
train_dataloader = dict(sampler=dict(first_epoch=0))
train_cfg = dict(max_epochs=3, val_begin=1, val_interval=1)
param_scheduler = dict(cosine_begin=1, end=3)

_base_ = 'clip4clip_vit-base-p32-res224-clip-pre_8xb16-u12-5e_msrvtt-9k-rgb.py'

model = dict(adapter=dict(type='TightAdapter'))

# All pairs of the test are scored. For a fast approximation, rerank_top=50 scores only a shortlist.
val_cfg = dict(rerank_top=None)
test_cfg = dict(rerank_top=None)

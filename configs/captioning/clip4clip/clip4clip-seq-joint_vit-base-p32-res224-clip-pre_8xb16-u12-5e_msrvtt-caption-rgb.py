_base_ = [
    '../../_base_/models/clip4clip-captioner_vit-base-p32.py',
    '../../_base_/datasets/msrvtt-caption.py',
    '../../_base_/schedules/modern.py',
    '../../_base_/default_runtime.py',
]

# METEOR and its tokenizer need Java, see the README. The best checkpoint is chosen on the validation split.
val_evaluator = [dict(type='VideoTextRetrievalMetric'), dict(type='VideoCaptionMetric')]
test_evaluator = val_evaluator
default_hooks = dict(checkpoint=dict(save_best='caption/CIDEr', rule='greater'))

# The head of the paper's text, from the same CLIP and with the same training as that of the reference code.
_base_ = 'clip4clip-tight_vit-tiny-p16-res64_1xb64-f4-3e_moving-shapes-rgb.py'

model = dict(adapter=dict(variant='paper'))

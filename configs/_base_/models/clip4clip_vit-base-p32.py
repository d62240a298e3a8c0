model = dict(
    type='CLIP4ClipRetriever',
    backbone=dict(type='CLIPBackbone', pretrained='openai/clip-vit-base-patch32', frozen_layers=0),
    adapter=dict(type='MeanAdapter'),
    data_preprocessor=dict(type='VideoCaptionPreprocessor'),
)

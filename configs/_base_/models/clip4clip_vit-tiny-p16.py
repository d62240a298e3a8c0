# A tiny CLIP that trains from scratch on a CPU in minutes.
tower = dict(hidden_size=128, intermediate_size=512, num_hidden_layers=2, num_attention_heads=4)
model = dict(
    type='CLIP4ClipRetriever',
    backbone=dict(
        type='CLIPBackbone',
        config=dict(
            text_config=dict(
                **tower,
                vocab_size=1000,
                max_position_embeddings=24,
                bos_token_id=0,
                eos_token_id=1,
                pad_token_id=1,
            ),
            vision_config=dict(**tower, image_size=64, patch_size=16),
            projection_dim=128,
        ),
        embedding_std=dict(text=0.2, vision=0.5),
    ),
    adapter=dict(type='MeanAdapter'),
    data_preprocessor=dict(type='VideoCaptionPreprocessor'),
)

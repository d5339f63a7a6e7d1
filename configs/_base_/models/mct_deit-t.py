# MCTformer V2 on DeiT-tiny. It starts from scratch, unless
# model.backbone.init_cfg names weights of DeiT-tiny that
# tools/model_converters/official_method.py has converted.
_base_ = './mct_deit-s.py'

model = dict(
    backbone=dict(embed_dims=192, num_heads=3, init_cfg=None),
    decode_head=dict(in_channels=192))

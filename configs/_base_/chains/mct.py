# Maps of MCTformer with LPCAM, for the stage of `stages` that makes maps in a
# leaf config; PatchCAM and the rest are scored beside them.
mct_maps = dict(
    model=dict(
        test_cfg=dict(
            map_type='mct_lpcam',
            extra_map_types=('patchcam', 'mct', 'mct_patchcam', 'mct_lpcam_f',
                             'mct_lpcam'))))

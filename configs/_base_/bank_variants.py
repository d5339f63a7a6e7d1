# Ways to fill and to read a prototype bank, for tools/compare_banks.py.
_voc = dict(fg_thr=0.1, mu_f=0.9, mu_b=0.9, mu_b_low=0.05)
_coco = dict(fg_thr=0.25, mu_f=0.9, mu_b=0.5, mu_b_low=0.)
_tau35 = dict(_voc, fg_thr=0.35)
variants = dict(
    cam=dict(map_type='cam'),
    lpcam_f=dict(map_type='lpcam_f'),  # as the config has it
    lpcam=dict(),
    spread_4=dict(spread=4.),
    spread_4_lpcam_f=dict(map_type='lpcam_f', spread=4.),
    voc_rule=_voc,
    coco_rule=_coco,
    tau_25=dict(_voc, fg_thr=0.25),
    tau_35=_tau35,
    tau_50=dict(_voc, fg_thr=0.5),
    soft=dict(_voc, soft=True),
    seeds_4=dict(_voc, num_seeds=4),
    several_k=dict(_voc, num_clusters=(6, 12)),
    image_50=dict(_voc, image_weight=0.5),
    center=dict(_voc, center=True),
    whiten_64=dict(_voc, whiten=64),
    whiten_256=dict(_voc, whiten=256),
    nearest_10=dict(_voc, nearest=10, max_features_per_class=500),
    false_positives=dict(_voc, false_positives=True),
    center_false_positives=dict(_voc, center=True, false_positives=True),
    tau_35_soft=dict(_tau35, soft=True),
    seeds_4_image_50=dict(_voc, num_seeds=4, image_weight=0.5),
    tau_35_soft_seeds_4_image_50=dict(
        _tau35, soft=True, num_seeds=4, image_weight=0.5))

"""SC-CAM on VOC 2012 (Chang et al., CVPR 2020): the plain classifier, then three rounds on sub-categories.

Sources: [C] https://github.com/Juliachang/SC-CAM, commit 191ec48, and [R] its README; [P] the paper; [?] not verified.
The released code trains for 61 epochs of a poly schedule each time, but takes the classifiers after 31, 41 and 51 of
them: decay_batch_size stretches the decay accordingly. Its DeepLab starts from MS-COCO.
"""

_base_ = ["../_base_/voc12.py", "../_base_/psa_deeplabv2.py"]
name = "sc_cam_voc"
rounds = 4  # [C]
stages = dict(clusters=dict(type="ClusterFeatures", classifier="classify", k=10))  # [C]
classifier = dict(
    objectives=[dict(type="SubCategory", clusters="previous.clusters", weight=5.0)],  # [C]
    transform=dict(crop=224),  # [C]; jitter [?]
    schedule=dict(epochs=51, decay_batch_size=13),  # [C]
)
psa = dict(transform=dict(crop=448), schedule=dict(epochs=15, decay_batch_size=None))
before = dict(
    round1=dict(classifier=psa),  # [C]
    round2=dict(classifier=dict(schedule=dict(epochs=31, decay_batch_size=8))),  # [C]
    round3=dict(classifier=dict(schedule=dict(epochs=41, decay_batch_size=11))),  # [C]
)
del psa
reference = {"CAM": 50.9, "+ random walk": 63.4, "DeepLab val": 66.1}  # [R], [?], [P]

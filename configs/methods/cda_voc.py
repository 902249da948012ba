"""CDA on VOC 2012 (Su et al., ICCV 2021), its row on AffinityNet: the plain classifier, then one on pasted objects.

Sources: [C] https://github.com/suyukun666/CDA, commit c254b10, whose scripts are those on IRNet; [R] its README;
[?] not verified: that the values on AffinityNet are the same, and the segmentation network. On another method's labels:
give round 1 that method, before=dict(round1=dict(classifier=dict(...))), or have a chain for it,
before=dict(seam=dict(...)), rounds=1 and bank="seam.bank".
"""

_base_ = ["../_base_/voc12.py", "../_base_/psa_deeplabv2.py"]
name = "cda_voc"
rounds = 2  # [C]
# [C] of train, which is 1,464 images
stages = dict(bank=dict(type="InstanceBank", labels="label", photos="evaluate", area=(0.1, 0.7)))
classifier = dict(
    augment=[dict(type="ContextDecoupling", bank="previous.bank", angle=90, largest=0.7)],  # [C]
    schedule=dict(batch_size=8),  # [C] photos, so 16 images; [?]
)
before = dict(round1=dict(classifier=dict(schedule=dict(batch_size=16))))  # psa's
reference = {"CAM": 48.9, "+ random walk": 63.3}  # [R]

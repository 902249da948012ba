"""CDA on VOC photos, for a laptop: round 1 is gap_voc_small.py's classifier."""

_base_ = ["../gap_voc_small.py"]
name = "cda_voc_small"
rounds = 2  # the plain classifier, then one that sees each photo twice
label = dict(input="cam")
stages = dict(bank=dict(type="InstanceBank", labels="label"))
classifier = dict(
    augment=[dict(type="ContextDecoupling", bank="previous.bank")],
    schedule=dict(batch_size=8),  # photos, so 16 images
)
before = dict(round1=dict(classifier=dict(schedule=dict(batch_size=16))))

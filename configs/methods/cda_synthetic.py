"""CDA at the small scale, where CAMs spill over a class's usual context: round 1 is gap_context.py's classifier."""

_base_ = ["../gap_context.py"]
name = "cda_synthetic"
rounds = 2  # the plain classifier, then one that sees each photo twice
label = dict(input="cam")
stages = dict(bank=dict(type="InstanceBank", labels="label", area=(0.02, 0.7)))
classifier = dict(
    augment=[dict(type="ContextDecoupling", bank="previous.bank")],
    schedule=dict(batch_size=16),  # photos, so 32 images
)
before = dict(round1=dict(classifier=dict(schedule=dict(batch_size=32))))

"""Rigid adversarial erasing on GPP (the paper's Table 3, "Attract (Rigid)"), on the embedded default data."""

_base_ = ["_base_/synthetic.py"]
name = "rigid_synthetic"
classifier = dict(
    pooling=dict(type="GPP", bins=(2, 4)), erasing=[dict(type="RigidErasing", start=0.4)]
)

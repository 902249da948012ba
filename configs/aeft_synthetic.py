"""AEFT (GPP + triplet) on the embedded default data. `make demo` runs this."""

_base_ = ["_base_/synthetic.py"]
name = "aeft_synthetic"
classifier = dict(
    # A 128 x 128 image has an 8 x 8 map at stride 16: larger bins than 4 would only repeat it.
    pooling=dict(type="GPP", bins=(2, 4)),
    # As the released code does: erase by the image's own classes, and only once the classifier has learnt something.
    erasing=[dict(type="AEFT", present_only=True, start=0.4)],
)

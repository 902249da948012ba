"""AE-PSL's region mining on VOC 2012 (Wei et al., CVPR 2017): three rounds of adversarial erasing.

Sources: [P] the paper, in summaries; [?] not verified; [T] this toolkit's choice. The paper's background is a saliency
network's, and its segmentation network learns online (PSL): neither is here, so its number is not comparable.
"""

_base_ = ["../_base_/voc12.py", "../_base_/vgg16_largefov.py"]
name = "ae_psl_voc"
rounds = 3  # [P]
stages = dict(
    mined=dict(type="MinedRegions", input="cam", top=0.2, add_to="previous.mined")
)  # [?] top
classifier = dict(
    augment=[dict(type="EraseRegions", regions="previous.mined")]
)  # [P] the mean pixel
cam = dict(
    _delete_=True, type="ErasedCAM", regions="previous.mined", scales=(1.0,), flip=False
)  # [T] one scale
label = dict(
    _delete_=True,
    type="MinedOrBackground",
    input="round1.cam",
    regions="mined",
    background=0.05,  # [T] for the paper's saliency
)
before = dict(
    round1=dict(cam=dict(type="MultiScaleCAM", scales=(1.0,), flip=False))
)  # the plain experiment's
reference = {"DeepLab val": 55.0}  # [P]

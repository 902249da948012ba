"""SeeNet (Hou et al., NeurIPS 2018) on VOC 2012, on VGG-16, without saliency.

    wsssbench run configs/methods/seenet_voc.py --set data.root=VOCdevkit/VOC2012

[C] the network that the authors released, https://github.com/Andrew-Qibin/SeeNet; [3] a re-implementation,
https://github.com/Sakura03/SeeNet_Pytorch at f0ce1c3; [?] reported as the paper's, not verified. The other values are
those of _base_/vgg16_largefov.py. The paper's pseudo-labels take their background from a saliency network; here they
come from the CAMs alone. Of its numbers only VOC's server is quoted (test: 60.7 with VGG-16, 62.8 with ResNet-101 [?]),
which no rung of this experiment is to be compared with.
"""

_base_ = ["../_base_/voc12.py", "../_base_/vgg16_largefov.py"]
name = "seenet_voc"
classifier = dict(
    erasing=[
        dict(
            type="SeeNet",
            high=0.7,  # [?]; [C] and [3] 0.8
            low=0.05,  # [?], [3]; [C] 0: no sign is turned
            background=None,  # [?] (high + low) / 2; [3] 0.3
            width=512,  # [C]
        )
    ],
    schedule=dict(batch_size=16),  # [3]
)
cam = dict(flip=True)  # [C] the maximum of both, here their mean

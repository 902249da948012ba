"""AEFT on VOC 2012 as its released code does it (https://github.com/KAIST-vilab/AEFT, aeft_gpp, commit 6392780).

    torchrun --nproc_per_node=4 -m wsssbench run configs/aeft_voc_released.py --set data.root=VOCdevkit/VOC2012

aeft_voc.py is the paper; below is every difference. Each can be undone alone with --set: those that are marked with *
by their names in `paper`, e.g. number 7 with --set "classifier.erasing.0.paper=['repel_rows']".

     paper                                  released code                              parameter, or name in paper
  1  e_A, e_P: unit length, squared         any length, absolute difference            *attract_norm, *attract_distance
  2  means of P16, of all classes           of its positive part, of own classes       *attract_relu, *attract_classes
  3  eq. 10: "mean squared error"           squares summed over the classes            distance (the default)
  4  unit length                            P16 over its peak, per class               *repel_norm
  5  e_N: all pixels                        pixels with A < 1                          *negative_region
     A: f over its maximum                  from its minimum to its maximum            *activation
  6  all classes                            own ones of either image: disjoint sets    *repel_classes
  7  all anchors                            within the margin, if more than four are   *repel_rows
  8  weights 0.15, 0.15                     0.2, 0.15                                  attract, repel
  9  A^fg of the maps, then upsampled       of ReLU(f), upsampled to the image         *mask_size
 10  A^fg over all classes                  over the image's own                       present_only
 11  batches of 32, triplets from the       18 epochs of 8 without triplets,           start, schedule.first_epochs,
     start                                  then 22 of 32                              schedule.first_batch_size
 12  all images are classified              the first 8 of each batch                  supervised_images
 13  the rate decays to 0                   to 0.45 (as if all batches were of 8)      schedule.decay_batch_size
 14  f from the last feature map            over 256 hidden channels                   hidden
 16  (silent: the next in the batch)        any image without a common class           *negative
 18  (silent: CAMs are of ReLU'd maps)      maps are upsampled before ReLU             cam.relu
 19  (silent: AffinityNet's crops)          begin at any pixel, black outside          refine.rw.crops
 20  DeepLab with ResNet38                  two 3 x 3 convolutions at dilation 12      segmenter.head

What the paper leaves open is in _base_/aeft_resnet38d.py already, where it says [C]: t_high, t_low, crop, jitter,
dropout, the learning rate of the new layers, the true momentum, alphas, random walk. GPP is the same in both.

Not reproduced:
 * An anchor without a negative takes what a later anchor finds, whatever its classes, and the batch fails if none finds
   one. Here it is left out.
 * The epoch of the classifier (by its mIoU on the masks of train) and the state of AffinityNet (likewise, every 200
   steps) are chosen by masks, which no stage that trains can open here. The last state counts.
 * AffinityNet starts from res38_cls.pth there, AffinityNet's published classifier of VOC. With that file:
   --set refine.rw.backbone.weights=res38_cls.pth. Without, it starts from ImageNet, as in aeft_voc.py.
 * AffinityNet's crops have their colours jittered there. Pairs whose first cell is within four cells of the left, right
   or bottom border are left out there, in training and in the walk; here all pairs count.
 * The CRF after the walk sees the padded image and all 21 labels there, absent ones with probability 1e-5. Here it
   sees the image and the labels of the image.
 * What is left of an epoch after its last whole batch is dropped there.
 * There is no code that trains the segmentation network, Net_dl, so all but its layers is aeft_voc.py's recipe. Whether
   the paper's numbers are of that network is not verified.
"""

_base_ = ["aeft_voc.py"]
name = "aeft_voc_released"
seed = 5137
classifier = dict(
    hidden=256,  # 14
    supervised_images=8,  # 12
    erasing=[
        dict(
            type="AEFTReleased",  # 1, 2, 4-10, 16
            attract=0.2,  # 8
            repel=0.15,
            margin=0.5,
            t_high=0.6,
            t_low=0.2,
            present_only=True,  # 10
            distance="sum",  # 3
            start=18 / 40,  # 11
            paper=(),  # names of differences that are turned back
        )
    ],
    schedule=dict(
        first_epochs=18,  # 11
        first_batch_size=8,  # 11
        decay_batch_size=8,  # 13
    ),
)
cam = dict(relu="image")  # 18
refine = dict(rw=dict(crops="pixels"))  # 19
segmenter = dict(  # 20
    head="dilated",
    norm_momentum=0.1,  # the base's belongs to another head, as does its last layer
    last_layer="normal",
    align_corners=False,
)
smoke = {
    "classifier.supervised_images": 2,
    "classifier.schedule.first_batch_size": 4,
}

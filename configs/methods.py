"""All methods that change what the CAMs are, on one base, under one protocol: the same backbone, data and schedule.

wsssbench sweep configs/methods.py                                       # part: CAMs under-activate
wsssbench sweep configs/methods.py --base context --only GAP --only SEAM # context: they over-activate
wsssbench sweep configs/methods.py --base voc_small --set data.root=VOCdevkit/VOC2012
wsssbench sweep configs/methods.py --base my_config.py --only SEAM       # on an experiment of yours

Every row begins with the `set` of _base_/plain.py, which empties what a method can be made of, and then says what the
method is; so a base that has a method itself gives the same rows. `before` names the row that an earlier chain is. The
threshold is chosen on the masks of val, by the same procedure for every row: at a fixed one, thresholds would be
compared.

Values are the papers', as the components have them by default, except where a remark says why not: most bases here have
crops of 112 to 192 pixels and small maps (`part` and `context`: 14 x 14 in training). Each paper's own recipe, on its
own backbone, is configs/methods/NAME_voc.py.
"""

_base_ = ["_base_/plain.py"]
title = "Methods"
until = "cam"
rows = {
    "GAP": dict(),
    # Poolings.
    "max": dict(set={"classifier.pooling": "MaxPooling()"}),
    "LSE": dict(set={"classifier.pooling": "LogSumExp()"}),
    "WILDCAT": dict(set={"classifier.pooling": "WILDCAT()"}),
    "nGWP": dict(set={"classifier.pooling": "NGWP()"}),
    "BES pooling": dict(set={"classifier.pooling": "AttentionPooling()"}),
    "GPP": dict(
        set={"classifier.pooling": "GPP(bins=(2, 4, 8))"},  # 16 would be finer than the maps
        on=dict(voc={"classifier.pooling": "GPP()"}),
    ),
    # Erasings. Those of images begin once the classifier has learnt something, as AEFT's released code does.
    "GPP + AEFT": dict(
        set={
            "classifier.pooling": "GPP(bins=(2, 4, 8))",
            "classifier.erasing": "AEFT(present_only=True, start=0.4)",
        },
        on=dict(voc={"classifier.pooling": "GPP()", "classifier.erasing": "AEFT()"}),
    ),
    "GPP + AEFT, as released": dict(
        set={
            "classifier.pooling": "GPP(bins=(2, 4, 8))",
            "classifier.erasing": "AEFTReleased(start=0.4)",
        },
        on=dict(
            voc={"classifier.pooling": "GPP()", "classifier.erasing": "AEFTReleased(start=0.45)"}
        ),
    ),
    "rigid erasing": dict(set={"classifier.erasing": "RigidErasing(start=0.4)"}),
    "GAIN": dict(set={"classifier.erasing": "GAIN()"}),
    "ACoL": dict(
        set={"classifier.erasing": "ACoL(width=96)"},  # as wide as the last features of `part`
        on=dict(voc={"classifier.erasing": "ACoL()"}),
    ),
    "SeeNet": dict(
        set={"classifier.erasing": "SeeNet(width=96)"},  # likewise
        on=dict(voc={"classifier.erasing": "SeeNet()"}),
    ),
    "OC-CSE": dict(
        before=dict(ordinary="GAP"),
        set={"classifier.erasing": "OCCSE(guide='ordinary.classify')"},
    ),
    "NOC": dict(
        before=dict(ordinary="GAP"),
        set={"classifier.erasing": "NOC(judge='ordinary.classify')"},
    ),
    "P-NOC": dict(
        before=dict(ordinary="GAP"),
        set={
            "classifier.erasing": "NOC(judge='ordinary.classify')",
            "classifier.objectives": "PuzzleCAM()",
        },
    ),
    "AE-PSL": dict(
        set={
            "rounds": 3,  # the first is the plain classifier
            "+stages.mined": "MinedRegions(input='cam', add_to='previous.mined')",
            "classifier.augment": "EraseRegions(regions='previous.mined')",
            "cam": "ErasedCAM(regions='previous.mined', scales=(1.0,))",
            "+before.round1.cam": "MultiScaleCAM(scales=(1.0,))",
            "refine": "none",
            "label": "MinedOrBackground(input='round1.cam', regions='mined', background=0.1)",
        },
    ),
    # Objectives.
    "SEAM": dict(
        # Of a crop of 112 pixels the paper's 0.3 would leave maps of 5 x 5. A class has to be recognised in the second
        # view, too: of the small badges of `part` it hardly is.
        set={"classifier.objectives": "SEAM(scale=0.5)", "cam.normalisation": "range"},
        on=dict(voc={"classifier.objectives": "SEAM()"}),
    ),
    "Puzzle-CAM": dict(set={"classifier.objectives": "PuzzleCAM()"}),
    "CPN": dict(
        # The released code's cells are a half of the crop's side and all of it, which leaves one image of the pair
        # nothing: here a quarter and a half. A class has to be recognised in a part of the image.
        set={"classifier.objectives": "CPN(cells=(28, 56))", "cam.normalisation": "range"},
        on=dict(
            synthetic={"classifier.objectives": "CPN(cells=(32, 64))"},
            voc={"classifier.objectives": "CPN()"},
            voc_small={"classifier.objectives": "CPN(cells=(48, 96))"},
        ),
    ),
    "ICD": dict(
        # The paper's loss, whose first term is a sum over the classes, divided by their number: so the schedule is that
        # of the plain classifier. Without superpixels. It needs no threshold.
        set={
            "classifier.objectives": "ICD(classification_weight=1.0, bottom_up=1.25, top_down=0.125, widths=(96, 96))",
            "cam": "ICDScores()",
            "evaluate.selection": "fixed",
            "splits.heldout": "",
            "refine": "none",
            "label": "ICDSeeds(input='cam')",
        },
        on=dict(
            voc={
                "classifier.objectives": "ICD(classification_weight=1.0, bottom_up=0.5, top_down=0.05)"
            },
            voc_small={
                "classifier.objectives": "ICD(classification_weight=1.0, bottom_up=0.5, top_down=0.05, "
                "widths=(256, 256))"
            },
        ),
    ),
    "SC-CAM": dict(
        set={
            "rounds": 4,  # the plain classifier, then three rounds on sub-categories
            # The paper's 10 are of thousands of photos a class.
            "+stages.clusters": "ClusterFeatures(classifier='classify', k=4)",
            "classifier.objectives": "SubCategory(clusters='previous.clusters')",
        },
        on=dict(voc={"stages.clusters.k": 10}),
    ),
    "ReCAM": dict(
        before=dict(plain="GAP"),
        set={
            "classifier.init": "plain.classify",
            "classifier.objectives": "ReCAM()",
            # As the published recipe: a short second training, the new head ten times as fast as the rest.
            "classifier.schedule.epochs": 8,
            "classifier.schedule.lr": 0.005,
            "classifier.schedule.warmup_iterations": 0,
            "classifier.schedule.new_layers_lr": 10.0,
        },
        on=dict(
            synthetic={"classifier.schedule.epochs": 3, "classifier.schedule.lr": 0.001},
            voc={"classifier.schedule.epochs": 4, "classifier.schedule.lr": 0.0001},
            voc_small={"classifier.schedule.epochs": 4, "classifier.schedule.lr": 0.001},
        ),
    ),
    # Augmentation.
    "CDA": dict(
        set={
            "rounds": 2,  # the plain classifier, then one that sees each photo twice
            # Objects are smaller than the photos' 0.1; they are cut out by the CAMs, not by refined ones.
            "+stages.bank": "InstanceBank(labels='label', area=(0.02, 0.7))",
            "label": "FromScores(input='cam')",
            "classifier.augment": "ContextDecoupling(bank='previous.bank')",
        },
        on=dict(
            voc={"stages.bank.area": (0.1, 0.7)},
            voc_small={"stages.bank.area": (0.1, 0.7)},
        ),
    ),
    # CAM inference.
    "nGWP, its own masks": dict(
        set={
            "classifier.pooling": "NGWP()",
            "cam": "NGWPMasks(scales=(1.0,))",
            "evaluate.selection": "fixed",  # they need no threshold
            "splits.heldout": "",
            "refine": dict(_delete_=True, pamr=dict(type="PAMR", input="cam")),
            "label": "FromScores(input='pamr')",
        },
        on=dict(
            synthetic={"cam.scales": (0.5, 1.0, 1.5, 2.0)},
            voc={"cam.scales": (0.5, 1.0, 1.5, 2.0)},
            voc_small={"cam.scales": (0.5, 1.0)},
        ),
    ),
    # GradCAM needs a package that is no part of the baselines, and is tried on an experiment: every row sets `cam`.
    # wsssbench run configs/gap_part.py --set "cam=GradCAM(method='LayerCAM')" --until cam
    "AdvCAM": dict(
        # Eight steps, as the author has for ResNet38, at one scale; a `restraint` of 7 belongs to a head with about
        # 1000 positive weights for a class, and in `part` there are about 50.
        set={"cam": "AdvCAM(steps=8, restraint=0.35, scales=(1.0,), multiple=8)"},
        on=dict(voc={"cam": "AdvCAM()"}, voc_small={"cam": "AdvCAM(scales=(1.0,))"}),
    ),
    "RIB": dict(
        # The classifiers of `part` and `context` were trained from random weights, at another rate: rate and stop are
        # ours.
        set={
            "cam": "RIB(photos='train', others=6, lr=1e-4, new_layers_lr=1.0, stop=100.0, scales=(1.0,), "
            "resize_long=(112, 144), crop=112, multiple=8)"
        },
        on=dict(
            voc={"cam": "RIB(photos='train')"},
            voc_small={"cam": "RIB(photos='train', scales=(1.0,))"},
        ),
    ),
}
baseline = "GAP"

"""PASCAL VOC 2012: the data set, its preparation with SBD, archives for its server."""

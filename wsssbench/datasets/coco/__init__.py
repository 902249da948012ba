"""MS-COCO 2014: the data set and its preparation from the official files."""

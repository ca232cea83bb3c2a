"""Files as tensors: parts and their digests, splits, random streams, resizing, rotation, augmentation."""

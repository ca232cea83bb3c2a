"""Records of a made-up benchmark become boards."""

from tests.toy_records import study, toy

__all__ = ["study", "toy"]

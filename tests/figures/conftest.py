"""What is drawn are records of a made-up benchmark."""

from tests.toy_records import study, toy

__all__ = ["study", "toy"]

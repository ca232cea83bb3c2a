"""Published numbers and our own records, put to the test."""

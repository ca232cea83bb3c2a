"""Cards: what they may say, how they are read strictly, and the registry they form.

Only `entries` needs torch, and imports it when asked.
"""

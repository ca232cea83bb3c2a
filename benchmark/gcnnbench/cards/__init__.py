"""Cards: what they may say, how they are read strictly, and the registry they form. Nothing in here imports torch."""

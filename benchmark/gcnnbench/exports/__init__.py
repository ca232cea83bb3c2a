"""Records, cards and checks in the formats of others: Hugging Face, Croissant, RO-Crate, in-toto, JUnit, GitHub."""

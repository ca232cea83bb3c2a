"""How far a machine repeats its own numbers: float noise, repeated training, the audit that `doctor` runs."""

"""The certificate: the sampling grid of every operation of one forward pass, traced and judged."""

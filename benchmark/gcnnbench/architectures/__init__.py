"""Published networks as sequences of layers, with their heads and initialisations."""

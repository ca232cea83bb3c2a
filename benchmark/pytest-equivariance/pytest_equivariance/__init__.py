"""A pytest plug-in: assert that a network is exactly equivariant to rotations and mirrors."""

"""Groups, fields and the layers of group-equivariant networks."""

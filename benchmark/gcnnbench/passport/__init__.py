"""The passport of a network: where it is exact, in which arithmetic, and what would repair it; its texts."""

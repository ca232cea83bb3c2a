"""A network in another form of itself: folded for scoring, plain torch for export, stacked for many seeds at once."""

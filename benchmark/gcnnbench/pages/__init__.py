"""Pages made from cards and results, in Markdown and HTML."""

"""Programs under their own names, which are no commands of `vde`, and what they share with those that are."""

"""Functions that deploy apart, and the kit that they share."""

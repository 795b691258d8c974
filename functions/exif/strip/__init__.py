"""Cleaning by container, for those that are not edited as parts yet."""

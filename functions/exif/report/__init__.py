"""Reports on a reading: privacy, summary and place.

The answer imports it; it imports no request and no route.
"""

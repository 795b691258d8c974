"""What is made of a reading: the privacy report, the summary, the place.

The answer imports it; it imports no request and no route.
"""

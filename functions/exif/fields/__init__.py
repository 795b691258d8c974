"""What containers say of the file itself: type, size, coding, boxes, resources, chunks, in ExifTool's groups.

The reading imports it, a module with the first file that needs it; it imports the scan and values.
"""

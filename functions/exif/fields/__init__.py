"""The containers' own fields in ExifTool's groups: file type, size, coding, boxes, resources, chunks.

The reading imports it, a module with the first file that needs it; it imports the scan and values.
"""

"""Very many photos: processes, resumable parts, one result."""

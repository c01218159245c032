"""Moving pictures: frames in (file, stream, camera), frames out."""

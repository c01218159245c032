"""Faces followed over frames, and one estimate for each, fused from its frames' distributions."""

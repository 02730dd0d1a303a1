"""Cholec80 as it is released: 80 videos at 25 fps, a phase per frame, and the names of its phases."""

PHASES = (
    "Preparation",
    "CalotTriangleDissection",
    "ClippingCutting",
    "GallbladderDissection",
    "GallbladderPackaging",
    "CleaningCoagulation",
    "GallbladderRetraction",
)
"""In index order, as Cholec80's annotation files write them."""

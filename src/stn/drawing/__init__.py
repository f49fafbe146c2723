"""Pictures of images and of what transformers do to them: torch and Pillow, no files.

`tiles` draws one image with lines and dots in its normalised coordinates, `warps` what a
transformer did to a batch, `sheets` whole pictures with words.
"""

"""Pictures of images and of what transformers do to them: no files.

`tiles` draws one image with lines and dots in its normalised coordinates, `warps` what a
transformer did to a batch, `panels` the warps of a network with words, all with Pillow. `canvas` is
paper for whole figures, as PNG and SVG by matplotlib; `sheets` lays out the right half of Table 1
on it, `figures` Figures 1 and 3.
"""

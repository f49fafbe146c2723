"""How `make docs` makes a site of README, docs/, notebooks, committed results and docstrings."""

import stn

project = "Spatial Transformer Networks"
author = "The spatial-transformer-networks authors"
release = version = stn.__version__
copyright = "the spatial-transformer-networks authors; MIT licence"

# The source is the whole checkout, so that links between its pages work here as on a forge.
root_doc = "docs/index"
include_patterns = [
    "*.md",
    "data/README.md",
    "docs/*.md",
    "notebooks/*.ipynb",
    "results/**/*.md",
    "weights/*.md",
]
exclude_patterns = [".*", "build", "runs", "reports", "outputs", "multirun", "wandb", "web"]

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
default_role = "code"  # docstrings have `names` in single quotes
napoleon_use_ivar = True
myst_heading_anchors = 3
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 600

html_theme = "furo"
html_title = f"Spatial Transformer Networks {release}"
html_extra_path = ["site"]  # an index.html at the top
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False

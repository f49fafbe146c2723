"""The demo: a page where a digit is distorted by hand, and the networks answer as it moves.

`python -m stn.demo` makes a static folder of it. The networks run in the page, as ONNX.
"""

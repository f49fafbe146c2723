"""Run records and what is made of them: collected, aggregated, rendered.

    result.json --collect--> records --comparison--> cells --render--> Markdown, CSV, LaTeX

Everything past the reading of files is a pure function. Nothing here imports torch or Lightning,
so that a report starts fast.
"""

"""One module a figure: each takes a summary table and gives a `matplotlib.figure.Figure` at its printed size."""

"""Reports: figures, tables and a PDF of what a probe found."""

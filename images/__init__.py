"""Container images, made of what is installed here: `python -m images`. No registry, no root, no daemon.

An image is a list of layers; a layer is a table of files. What goes in decides every byte of what
comes out. `archive` writes, `programs` finds the libraries of programs, `python` gathers an
interpreter with packages, `catalogue` says what is in each image.
"""

"""Pages for people: one HTML file each, that holds all it shows and is read without a script."""

from experiments.pages.parts import Page, Picture, Section, Table, shown
from experiments.pages.render import html_of, write_page

__all__ = ["Page", "Picture", "Section", "Table", "html_of", "shown", "write_page"]

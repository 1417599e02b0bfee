"""Pages for people: one HTML file each, that holds all it shows and is read without a script."""

from experiments.pages.parts import Page, Section, Table
from experiments.pages.render import alternative, html_of, write_page

__all__ = ["Page", "Section", "Table", "alternative", "html_of", "write_page"]

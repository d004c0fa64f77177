"""An app that ends the program while it is imported."""

raise SystemExit(0)

"""Tables, figures, claims and the page."""

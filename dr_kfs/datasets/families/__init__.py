"""One module per family of shapes; each has `OPTIONS`, its style choices, and `build`, from choices to parts."""

"""One module per family of shapes: `OPTIONS`, its style choices, and `build`, from choices to parts."""

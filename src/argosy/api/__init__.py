"""Api: the HTTP interface. It only translates."""

"""One self-contained HTML page and PNG pictures of an evaluation, drawn from aggregates only."""

"""The person schema: what a person is, declared in one file (docs/adr/0061)."""

"""What is for sale: the bundled catalogue and pure questions about prices.

`catalogue` loads the curated YAML in `data/`; `prices` filters and sorts offers. Called by `cli` and by the
inputs of `plan`. It decides nothing, reads no user file and never touches the network.
"""

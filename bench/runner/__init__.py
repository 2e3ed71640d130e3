"""The parallel runner: DVC decides what is stale and remembers results, Dask places the commands, and a loop joins the
two.

``bookkeeping`` is DVC's half, ``engine`` Dask's, ``loop`` joins them; ``process`` and ``clone`` run on workers.
docs/scale.md is the guide.
"""

"""Batches: more images and videos than one process should handle, cut into shards, each written as one Parquet file.

    inputs -> items -> shards -> crew of workers -> parts -> results

A crew is this machine's processes (`processes`) or Ray's actors (`clusters`); both run the same `worker.Worker`, and
`foreman` gives them shards until every shard has its part.
"""

"""The local hop: what belongs together comes together in one of the workers (docs/decisions/0011-workers.md).

Before a processor that needs all of a trace, the engine puts a hop. It cuts a batch into the parts of each worker, by
the hash of the trace id, passes its own part on, and sends the others over a socket pair that only the two workers
have. Its ``consume`` returns when every part was accepted, wherever that was: acknowledgement stays end to end.
"""

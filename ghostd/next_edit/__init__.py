"""What is to be edited next, after what has just been edited.

`service`, `elsewhere`, `imports`, `by_model` and `asked` ask the index, the resolver and the model, on the event loop.
All other modules only compute: `service` has that done `aside`, in a thread, as a large file takes them a while.
"""

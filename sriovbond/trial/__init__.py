"""A change of the node's own network as a transaction: kept whole, or reverted whole.

A checkpoint is on disk and a watchdog is armed outside this process before anything is touched;
what was changed is reverted when a step, a comparison or a probe fails, when this process dies,
and when nothing confirms the change in time.
"""

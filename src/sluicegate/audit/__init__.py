"""Is a data set fit to learn and to be judged from? Every sample is tried, and all that is wrong is told.

A reference that fails its own tests, tests that let a stub, the broken program or changed references through, samples
that are near each other, metadata that gives the answer away, lines that cannot be read: none of them stops the rest.
Nothing here changes a data set.
"""

"""A page for people who do not program: `ziffern studio`.

The page is only a face. What it starts is `ziffern train` with overrides that could have been typed, in a process of
its own; what it shows are blocks of the reports that the command line writes, from run folders whoever made them.
"""

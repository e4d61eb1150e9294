"""A page for people who do not program: `ziffern studio`.

The page is only an interface. It starts `ziffern train` with overrides that could have been typed, in a separate
process, and shows blocks of the reports that the command line writes, for run folders of any origin.
"""

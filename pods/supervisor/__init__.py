"""What runs on the pod: owns process trees, works a job folder off, keeps leases.

Standard library only, Linux, Python 3.10; imports nothing but itself, because it travels as one zipapp
(`pods/archive.py`) and is started as `python supervisor.pyz SUBCOMMAND`. It is spoken to by argument lists
and answers with one JSON line on standard output; `__main__.py` lists the subcommands.
"""

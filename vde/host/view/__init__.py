"""A process with its own view: namespaces of the kernel instead of View-OS's traced system calls.

plan.py      what a view is made of
launch.py    outside: fork, hand over the taps, wait, pass signals on
inside.py    inside, in order: namespaces, names, clocks, network, files, and then the command
files.py     bind mounts, resolv.conf, a new root
overlay.py   a file system of which only the changes are ours
"""

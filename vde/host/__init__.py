"""The host's networks: interfaces and namespaces that the kernel gives us, and processes with a view of their own.

kernel.py       the system calls that Python lacks
privilege.py    what this process may do, and what to advise where it may not
namespaces.py   network namespaces: by name, process or path
interfaces.py   taps, bridges, veths, addresses: made, joined, and undone
view/           a process with its own network, files, host name and clocks
uml.py          User-Mode Linux, launched on descriptors or VNLs
"""

"""The jobs of umps3-mkdev(1), umps3-elf2umps(1) and umps3-objdump(1), with the same files and texts as results.

Each tool is a function of its arguments and of the name that it has in messages, and answers its exit status.
"""

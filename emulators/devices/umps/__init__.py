"""The devices of uMPS3, a machine made for teaching operating systems.

Read `events.py` first (time and order), then `unit.py` (what all peripherals share), `bus_registers.py` last.
"""

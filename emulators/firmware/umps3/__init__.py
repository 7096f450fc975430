"""uMPS3's boot ROM and execution ROM.

`boot.s` and `execution.s` are written from what kernels rely on (`docs/umps3.md`); `boot.rom.umps` and
`execution.rom.umps` are made of them by GNU as and our `elf2umps`. A test makes them again and compares.
"""

from pathlib import Path

BOOT = Path(__file__).with_name("boot.rom.umps")
EXECUTION = Path(__file__).with_name("execution.rom.umps")

# uMPS3's boot ROM, at 0x1FC00000: what happens before the kernel's first instruction.
#
# Leaves exceptions to the execution ROM (BEV off), both handlers set to its panic, and the kernel in kernel mode
# without interrupts. The kernel's first instruction is where the a.out header at the second page of RAM says.

        .set    noreorder
        .set    noat
        .text

        b       begin
        nop

        .org    0x100                   # BEV: a TLB refill while booting
        ori     $26, $0, 0x108          # the execution ROM's panic
        jr      $26
        nop

        .org    0x180                   # BEV: any other exception
        ori     $26, $0, 0x108
        jr      $26
        nop

begin:  mfc0    $8, $12                 # Status
        lui     $9, 0x0040              # BEV,
        ori     $9, $9, 0x000C          # KUp and IEp off
        nor     $9, $9, $0
        and     $8, $8, $9
        mtc0    $8, $12

        lui     $8, 0x1000              # bus registers
        lui     $9, 0x0FFF
        ori     $9, $9, 0xF000          # BIOS data page: where processor 0's state is saved
        sw      $9, 0x40C($8)
        ori     $10, $9, 0x0900         # program counter and stack pointer for refills, and for the rest
        sw      $10, 0x410($8)
        ori     $11, $0, 0x108
        sw      $11, 0($10)
        sw      $11, 8($10)

        lui     $8, 0x2000
        lw      $31, 0x1004($8)         # the entry in the a.out header
        nop
        jr      $31
        rfe
        .balign 4

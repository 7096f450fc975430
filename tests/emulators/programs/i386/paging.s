# Paging: rights, error codes, accessed and dirty bits, large and global pages, invalidation, PAE, and NX.
.include "frame.inc"

.set P, 1
.set RW, 2
.set US, 4
.set A, 0x20
.set D, 0x40
.set PS, 0x80
.set G, 0x100

# The page that cases are about, and its table.
.set TEST, 0x00c01000

cases:
    mov eax, offset tss0
    mov [gdt + 0x28 + 2], ax
    shr eax, 16
    mov [gdt + 0x28 + 4], al
    mov [gdt + 0x28 + 7], ah
    mov dword ptr [tss0 + 4], offset stack_inner
    mov dword ptr [tss0 + 8], DATA0
    mov eax, 0x28
    ltr ax
    # 0…4 MiB: themselves, everybody's
    mov edi, offset table0
    mov eax, P | RW | US
    mov ecx, 1024
1:  stosd
    add eax, 0x1000
    loop 1b
    mov dword ptr [directory], offset table0 + (P | RW | US)
    mov dword ptr [directory + 3 * 4], offset table1 + (P | RW | US)
    mov dword ptr [page0], 0x11111111
    mov dword ptr [page1], 0x22222222
    mov eax, offset directory
    mov cr3, eax
    mov eax, cr0
    or eax, 0x80000000
    mov cr0, eax

    # What the test page's entry and its directory's are, and what happens.
    .macro ENTRIES pde, pte
    mov dword ptr [directory + 3 * 4], offset table1 + (\pde)
    mov dword ptr [table1 + 4], offset page0 + (\pte)
    mov eax, cr3
    mov cr3, eax
    .endm
    .macro ACCESS text, pde, pte, code:vararg
    ENTRIES \pde, \pte
    CASE "\text"
    \code
    END
    .endm
    .macro USER_BEGIN text, pde, pte
    ENTRIES \pde, \pte
    CASE "\text"
    RING3
    .endm
    .macro USER_END
    int 0x80
    END
    .endm
    .macro USER text, pde, pte, code:vararg
    USER_BEGIN "\text", \pde, \pte
    \code
    USER_END
    .endm
    ACCESS "0: read", P|RW, P|RW, mov eax, [TEST]
    ACCESS "0: write", P|RW, P|RW, mov [TEST + 4], eax
    ACCESS "0: write a read-only page", P|RW, P, mov [TEST + 4], eax
    ACCESS "0: read an absent page", P|RW, 0, mov eax, [TEST + 8]
    ACCESS "0: write an absent page", P|RW, RW, mov [TEST + 8], eax
    ACCESS "0: write by an absent table", RW, P|RW, mov [TEST + 8], eax
    ACCESS "0: read a user's page", P|RW|US, P|RW|US, mov eax, [TEST]
    ACCESS "0: read across, the second absent", P|RW, P|RW, mov eax, [TEST + 0xffe]
    ACCESS "0: write across, the second absent", P|RW, P|RW, mov [TEST + 0xffe], eax
    ACCESS "0: what was written across", P|RW, P|RW, movzx eax, word ptr [TEST + 0xffe]
    USER "3: read", P|RW|US, P|RW|US, mov eax, [TEST]
    USER "3: write", P|RW|US, P|RW|US, mov [TEST + 4], eax
    USER "3: read a supervisor's page", P|RW|US, P|RW, mov eax, [TEST + 0x10]
    USER "3: read by a supervisor's table", P|RW, P|RW|US, mov eax, [TEST + 0x10]
    USER "3: write a read-only page", P|RW|US, P|US, mov [TEST + 0x10], eax
    USER "3: write by a read-only table", P|US, P|RW|US, mov [TEST + 0x10], eax
    USER "3: read an absent page", P|RW|US, 0, mov eax, [TEST + 0x10]
    USER "3: write an absent page", P|RW|US, 0, mov [TEST + 0x10], eax
    USER_BEGIN "3: execute a supervisor's page", P|RW|US, P|RW
    mov eax, TEST + 0x20
    jmp eax
    USER_END
    USER "3: xchg on a read-only page", P|RW|US, P|US, xchg [TEST + 0x10], eax
    USER "3: add to a read-only page", P|RW|US, P|US, add [TEST + 0x10], eax
    USER "3: add to an absent page", P|RW|US, 0, add [TEST + 0x10], eax
    USER_BEGIN "3: push to a read-only page", P|RW|US, P|US
    mov esp, TEST + 0x10
    push eax
    USER_END
    USER_BEGIN "3: pop from an absent page", P|RW|US, 0
    mov esp, TEST + 0x10
    pop eax
    USER_END
    mov eax, cr0
    or eax, 0x10000
    mov cr0, eax
    ACCESS "0: write protection: read", P|RW, P, mov eax, [TEST]
    ACCESS "0: write protection: write", P|RW, P, mov [TEST + 4], eax
    ACCESS "0: write protection: by the table", P, P|RW, mov [TEST + 4], eax
    mov eax, cr0
    and eax, 0xfffeffff
    mov cr0, eax
    ACCESS "0: write protection is off again", P|RW, P, mov [TEST + 4], eax

    # Execution
    ENTRIES P|RW, 0
    CASE "0: jump to an absent page"
    mov eax, TEST + 0x20
    jmp eax
    END
    ENTRIES P|RW, P|RW
    mov byte ptr [TEST + 0xfff], 0xb8 # mov eax, imm32
    CASE "0: an instruction across, the second page absent"
    mov eax, TEST + 0xfff
    jmp eax
    END
    mov dword ptr [table1 + 8], offset page1 + P
    mov byte ptr [page1 + 4], 0xc3
    CASE "0: an instruction across"
    mov eax, TEST + 0xfff
    call eax
    END
    mov dword ptr [table1 + 8], 0

    # A string that comes to an absent page
    ENTRIES P|RW, P|RW
    CASE "rep stosd into an absent page"
    mov edi, TEST + 0xff0
    mov ecx, 100
    rep stosd
    END

    # Accessed and dirty
    .macro BITS_BEGIN text, pde, pte
    ENTRIES \pde, \pte
    CASE "\text"
    .endm
    .macro BITS_END
    mov eax, [directory + 3 * 4]
    and eax, 0xfff
    shl eax, 16
    mov ax, [table1 + 4]
    and ax, 0xfff
    END
    .endm
    .macro BITS text, pde, pte, code:vararg
    BITS_BEGIN "\text", \pde, \pte
    \code
    BITS_END
    .endm
    BITS "bits: untouched", P|RW, P|RW, nop
    BITS "bits: read", P|RW, P|RW, mov ecx, [TEST]
    BITS "bits: written", P|RW, P|RW, mov [TEST + 4], ecx
    BITS_BEGIN "bits: read, then written", P|RW, P|RW
    mov ecx, [TEST]
    mov [TEST + 4], ecx
    BITS_END
    BITS "bits: cmp reads", P|RW, P|RW, cmp [TEST + 4], ecx
    BITS_BEGIN "bits: cmpxchg that fails writes, too", P|RW, P|RW
    mov eax, 1
    cmpxchg [TEST + 4], ecx
    BITS_END
    BITS "bits: bts writes", P|RW, P|RW, bts dword ptr [TEST + 4], 3
    BITS "bits: or with 0 writes", P|RW, P|RW, or dword ptr [TEST + 4], 0

    # Stale translations
    ENTRIES P|RW, P|RW
    CASE "invlpg"
    mov ecx, [TEST]
    mov dword ptr [table1 + 4], offset page1 + (P|RW)
    invlpg [TEST]
    mov eax, [TEST]
    END
    ENTRIES P|RW, P|RW
    CASE "mov to cr3"
    mov ecx, [TEST]
    mov dword ptr [table1 + 4], offset page1 + (P|RW)
    mov eax, cr3
    mov cr3, eax
    mov eax, [TEST]
    END
    ENTRIES P|RW, P|RW
    CASE "a page that becomes present needs nothing"
    mov dword ptr [table1 + 8], offset page1 + (P|RW)
    mov eax, [TEST + 0x1000]
    END
    mov dword ptr [table1 + 8], 0
    ENTRIES P|RW, P|RW
    CASE "code behind invlpg"
    mov dword ptr [page0 + 0x100], 0x000001b8 # mov eax, 1; ret
    mov dword ptr [page0 + 0x104], 0x0000c300
    mov dword ptr [page1 + 0x100], 0x000002b8 # mov eax, 2; ret
    mov dword ptr [page1 + 0x104], 0x0000c300
    mov ecx, TEST + 0x100
    call ecx
    mov dword ptr [table1 + 4], offset page1 + (P|RW)
    invlpg [TEST + 0x100]
    call ecx
    END

    # Large pages
    mov eax, cr4
    or eax, 0x10
    mov cr4, eax
    mov dword ptr [directory + 4 * 4], PS + P + RW
    CASE "4 MiB"
    mov eax, [0x01000000 + page0]
    END
    CASE "4 MiB: bits"
    mov [0x01000000 + scratch], eax
    mov eax, [directory + 4 * 4]
    END
    CASE "3: 4 MiB of the supervisor"
    RING3
    mov eax, [0x01000000 + page0]
    int 0x80
    END
    mov dword ptr [directory + 4 * 4], PS + P + RW + 0x200000
    mov eax, cr3
    mov cr3, eax
    CASE "4 MiB: a reserved bit"
    mov eax, [0x01000000 + page0]
    END

    # Global pages
    mov eax, cr4
    or eax, 0x80
    mov cr4, eax
    ENTRIES P|RW, P|RW|G
    CASE "global: invlpg forgets it"
    mov ecx, [TEST]
    mov dword ptr [table1 + 4], offset page1 + (P|RW|G)
    invlpg [TEST]
    mov eax, [TEST]
    END
    CASE "global: so does cr4"
    mov dword ptr [table1 + 4], offset page0 + (P|RW|G)
    mov eax, cr4
    xor eax, 0x80
    mov cr4, eax
    mov eax, [TEST]
    END

    # PAE: pointers, directory of 2 MiB pages, one table
    mov eax, cr0
    and eax, 0x7fffffff
    mov cr0, eax
    mov dword ptr [pointers], offset directory2 + P
    mov dword ptr [directory2], PS + P + RW + US
    mov dword ptr [directory2 + 6 * 8], offset table2 + (P|RW|US)
    mov dword ptr [table2 + 8], offset page0 + (P|RW|US)
    mov eax, cr4
    or eax, 0x20
    mov cr4, eax
    mov eax, offset pointers
    mov cr3, eax
    mov eax, cr0
    or eax, 0x80000000
    mov cr0, eax
    .macro PAE_BEGIN text, low, high
    mov dword ptr [table2 + 8], offset page0 + (\low)
    mov dword ptr [table2 + 12], \high
    mov eax, cr3
    mov cr3, eax
    CASE "\text"
    .endm
    .macro PAE_END
    END
    .endm
    .macro PAE text, low, high, code:vararg
    PAE_BEGIN "\text", \low, \high
    \code
    PAE_END
    .endm
    PAE "pae: read", P|RW, 0, mov eax, [TEST]
    PAE "pae: write", P|RW, 0, mov [TEST + 4], eax
    PAE_BEGIN "pae: bits", P|RW, 0
    mov [TEST + 4], eax
    mov eax, [table2 + 8]
    and eax, 0xfff
    PAE_END
    PAE "pae: absent", 0, 0, mov eax, [TEST + 4]
    PAE "pae: beyond the pointers", P|RW, 0, mov eax, [0x40000000]
    PAE "pae: nx is reserved", P|RW, 0x80000000, mov eax, [TEST]
    PAE_BEGIN "3: pae: read", P|RW|US, 0
    RING3
    mov eax, [TEST]
    int 0x80
    PAE_END
    PAE_BEGIN "3: pae: write a read-only page", P|US, 0
    RING3
    mov [TEST], eax
    int 0x80
    PAE_END
    mov ecx, 0xc0000080
    mov eax, 0x800
    xor edx, edx
    wrmsr
    PAE "nx: read", P|RW, 0x80000000, mov eax, [TEST]
    PAE_BEGIN "nx: execute", P|RW, 0x80000000
    mov eax, TEST + 0x100
    jmp eax
    PAE_END
    PAE_BEGIN "nx: execute an absent page", 0, 0x80000000
    mov eax, TEST + 0x100
    jmp eax
    PAE_END
    PAE_BEGIN "3: nx: execute", P|RW|US, 0x80000000
    RING3
    mov eax, TEST + 0x100
    jmp eax
    PAE_END
    PAE_BEGIN "3: nx: execute a supervisor's page", P|RW, 0
    RING3
    mov eax, TEST + 0x100
    jmp eax
    PAE_END
    PAE_BEGIN "nx: executable", P|RW, 0
    mov eax, TEST + 0x100
    call eax
    PAE_END
    ret

.data
.align 8
gdt:
    .quad 0
    .quad 0x00cf9b000000ffff    # CODE0
    .quad 0x00cf93000000ffff    # DATA0
    .quad 0x00cffb000000ffff    # CODE3
    .quad 0x00cff3000000ffff    # DATA3
    .quad 0x0000890000000067    # TSS0
gdt_end:
scratch: .long 0
image_end:

.bss
.align 4096
directory: .space 4096
table0: .space 4096
table1: .space 4096
directory2: .space 4096
table2: .space 4096
pointers: .space 4096
page0: .space 4096
page1: .space 4096
tss0: .space 0x68
.space 0x1000
stack_inner:
bss_end:

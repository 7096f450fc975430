"""What the manual leaves undefined, and what processors do not agree about.

Intel SDM volume 2, under each instruction's "Flags affected"; volume 1, appendix A.
"""

CF, PF, AF, ZF, SF, DF, OF = 1, 4, 0x10, 0x40, 0x80, 0x400, 0x800
ARITHMETIC = CF | PF | AF | ZF | SF | OF
SHIFTS = {"SHL", "SAL", "SHR", "SAR", "SHLD", "SHRD"}
ROTATES = {"ROL", "ROR", "RCL", "RCR"}
FLAGS = {
    **dict.fromkeys(("MUL", "IMUL"), PF | AF | ZF | SF),
    **dict.fromkeys(("DIV", "IDIV"), ARITHMETIC),
    **dict.fromkeys(("AND", "OR", "XOR", "TEST"), AF),
    **dict.fromkeys(("BT", "BTS", "BTR", "BTC"), PF | AF | SF | OF),
    **dict.fromkeys(("BSF", "BSR"), ARITHMETIC & ~ZF),
    **dict.fromkeys(("AAA", "AAS"), PF | ZF | SF | OF),
    **dict.fromkeys(("AAM", "AAD"), CF | AF | OF),
    **dict.fromkeys(("DAA", "DAS"), OF),
}


def undefined_flags(mnemonic: str, count: int | None, octets: int) -> int:
    """`count` of a shift or rotation is the one that is executed; `octets` are the operand's."""
    if mnemonic in SHIFTS:
        if not count:
            return 0
        beyond = CF if count >= 8 * octets else 0
        if mnemonic in ("SHLD", "SHRD") and count > 8 * octets:
            return ARITHMETIC
        return AF | (OF if count != 1 else 0) | beyond
    if mnemonic in ROTATES:
        return OF if count and count != 1 else 0
    return FLAGS.get(mnemonic, 0)

//! How the operands of instructions are written.

/// How the operands are written, in the assembler's order. Fields by the manual's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// No operands.
    Bare,
    /// target; AA and LK are parts of the mnemonic
    Branch,
    /// BO, BI, target
    BranchConditional,
    /// BO, BI
    BranchRegister,
    /// rD, rA, SIMM
    DASimm,
    /// rD, rA, SIMM; rA = 0 is the number zero
    DA0Simm,
    /// rA, rS, UIMM
    ASUimm,
    /// crfD, rA, SIMM (or UIMM: `cmpli`)
    CompareSimm,
    CompareUimm,
    /// crfD, rA, rB
    Compare,
    /// TO, rA, SIMM
    TrapSimm,
    /// TO, rA, rB
    Trap,
    /// rD, rA, rB
    DAB,
    /// rD, rA
    DA,
    /// rA, rS, rB
    ASB,
    /// rA, rS
    AS,
    /// rA, rS, SH
    ASSh,
    /// rA, rS, SH, MB, ME
    RotateImmediate,
    /// rA, rS, rB, MB, ME
    Rotate,
    /// rD, d(rA)
    Memory,
    /// frD, d(rA)
    FMemory,
    /// rD, rA, rB; rA = 0 is the number zero
    Indexed,
    /// frD, rA, rB
    FIndexed,
    /// rD, rA, NB
    StringImmediate,
    /// rA, rB
    AB,
    /// rB
    B,
    /// crbD, crbA, crbB
    CrBits,
    /// crfD, crfS
    CrFields,
    /// crfD
    CrField,
    /// rD
    D,
    /// rS
    S,
    /// CRM, rS
    CrMask,
    /// rD, SPR
    FromSpr,
    /// SPR, rS
    ToSpr,
    /// rD, TBR
    FromTb,
    /// rD, SR
    FromSr,
    /// SR, rS
    ToSr,
    /// rD, rB (rS, rB)
    DB,
    /// frD, frA, frB
    F3,
    /// frD, frA, frC
    FMul,
    /// frD, frA, frC, frB
    F4,
    /// frD, frB
    F2,
    /// crfD, frA, frB
    FCompare,
    /// frD
    F1,
    /// crbD
    CrBit,
    /// FM, frB
    FMask,
    /// crfD, IMM
    FImmediate,
    /// TO of a barrier or hint: rA, rB, STRM
    Stream,
    /// STRM
    StreamStop,
    /// vD, rA, rB
    VIndexed,
    /// vD, vA, vB
    V3,
    /// vD, vB
    V2,
    /// vD, vA, vB, vC
    V4,
    /// vD, vA, vC, vB
    VMadd,
    /// vD, vA, vB, SH
    VShift,
    /// vD, vB, UIMM
    VImmediate,
    /// vD, vB, UIMM, the number of one of 16, 8 or 4 elements
    VOctet,
    VHalf,
    VWord,
    /// vD, vA, vB; Rc is bit 21
    VCompare,
    /// vD, SIMM
    VSplat,
    /// vD
    VD,
    /// vB
    VB,
}

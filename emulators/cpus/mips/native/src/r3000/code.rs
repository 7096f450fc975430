//! Decoded code: an array of operations for each physical page that was executed.
//!
//! A place is decoded when it is first reached, together with the rest of its block of 128 octets; the block is marked
//! in guest memory, and a write to it makes its places undecoded again. An operation holds no address, so a page serves
//! all virtual addresses that it is mapped at.
//!
//! Loads arrive one instruction late. Whether anybody can tell is found while decoding: a load whose next instruction
//! neither reads the register nor could end up in another order with it is marked as plain, and may arrive at once.

use crate::table::{Decoder, Format, Insn, field};
use guest_memory::{CODE_BLOCK_OCTETS, Change, Changes, Memory, PAGE_OCTETS};

/// Places in a page.
pub(crate) const PLACES: usize = PAGE_OCTETS as usize / 4;
const BLOCK_PLACES: usize = CODE_BLOCK_OCTETS as usize / 4;
/// Chosen: 8 MiB of decoded pages hold 4 MiB of guest code.
const PAGES_MAX: usize = 1024;
/// Register 0 as a destination: what is written there is never read.
pub(crate) const SINK: u8 = 32;
/// In a load's `a`: the next instruction may tell that the load is late.
pub(crate) const LATE: u8 = 0x80;
const NOT_DECODED: u32 = u32::MAX;

/// A decoded instruction. `a` is the destination, `b` the first source and `imm` the second one or the immediate; of
/// branches and stores `a` is a source. Other instructions keep their word in `imm`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Op {
    pub insn: Insn,
    pub a: u8,
    pub b: u8,
    pub imm: u32,
}

const UNDECODED: Op = Op { insn: Insn::Undecoded, a: SINK, b: 0, imm: 0 };
const NO_CODE: Op = Op { insn: Insn::Reserved, a: SINK, b: 0, imm: 0 };
const PAGE_END: Op = Op { insn: Insn::PageEnd, a: SINK, b: 0, imm: 0 };

impl Op {
    /// Decode `word`. `strict`: bits that should be zero and are not make the instruction a reserved one.
    pub(crate) fn new(decoder: &Decoder, word: u32, strict: bool) -> Op {
        let insn = decoder.decode(word);
        let raw = Op { insn, a: SINK, b: 0, imm: word };
        let Some(row) = insn.row() else { return raw };
        if strict && word & should_be_zero(row.bits) != 0 {
            return Op { insn: Insn::Reserved, ..raw };
        }
        let (rs, rt, rd) = (field::rs(word), field::rt(word), field::rd(word));
        let to = |register: u8| if register == 0 { SINK } else { register };
        match row.format {
            Format::DST => Op { insn, a: to(rd), b: rs, imm: rt.into() },
            Format::DTA => Op { insn, a: to(rd), b: rt, imm: field::sa(word).into() },
            Format::DTS => Op { insn, a: to(rd), b: rt, imm: rs.into() },
            Format::TSI => Op { insn, a: to(rt), b: rs, imm: field::signed(word) },
            Format::TSU => Op { insn, a: to(rt), b: rs, imm: field::unsigned(word) },
            Format::TU => Op { insn, a: to(rt), b: 0, imm: word << 16 },
            Format::ST => Op { insn, a: SINK, b: rs, imm: rt.into() },
            Format::D => Op { insn, a: to(rd), b: 0, imm: word },
            Format::S => Op { insn, a: SINK, b: rs, imm: word },
            Format::LinkDS => Op { insn, a: to(rd), b: rs, imm: word },
            Format::STB | Format::SB => Op { insn, a: rs, b: rt, imm: field::branch(word) },
            Format::J => Op { insn, a: 0, b: 0, imm: field::jump(word) },
            Format::Memory if is_store(insn) => Op { insn, a: rt, b: rs, imm: field::signed(word) },
            Format::Memory => Op { insn, a: to(rt), b: rs, imm: field::signed(word) },
            _ => raw,
        }
    }

    /// Executed right behind a load to `register`: does it need the load to be late? (As uMPS orders things: its loads
    /// and stores let an earlier load arrive first.)
    pub(crate) fn notices(self, register: u8) -> bool {
        let (b, c) = (self.b == register, self.imm == u32::from(register));
        let Some(row) = self.insn.row() else { return self.insn == Insn::Undecoded || self.insn == Insn::PageEnd };
        match row.format {
            Format::DST if self.insn == Insn::Cas => b || c || self.a == register,
            Format::DST | Format::DTS | Format::ST => b || c,
            Format::DTA | Format::TSI | Format::TSU | Format::S | Format::LinkDS => b,
            Format::STB => self.a == register || b,
            Format::SB => self.a == register || register == 31 && is_link(self.insn),
            Format::J => register == 31 && is_link(self.insn),
            _ => false,
        }
    }
}

pub(crate) fn is_store(insn: Insn) -> bool {
    matches!(insn, Insn::Sb | Insn::Sh | Insn::Sw | Insn::Swl | Insn::Swr)
}

pub(crate) fn is_load(insn: Insn) -> bool {
    matches!(insn, Insn::Lb | Insn::Lbu | Insn::Lh | Insn::Lhu | Insn::Lw | Insn::Lwl | Insn::Lwr)
}

/// Branches that write register 31.
pub(crate) fn is_link(insn: Insn) -> bool {
    matches!(insn, Insn::Jal | Insn::Bltzal | Insn::Bgezal)
}

/// The mask of a row's `-`.
fn should_be_zero(bits: &str) -> u32 {
    bits.bytes().filter(|&bit| bit != b' ').fold(0, |mask, bit| mask << 1 | u32::from(bit == b'-'))
}

pub(crate) type Page = [Op; PLACES + 1];

pub(crate) struct Code {
    decoder: Decoder,
    strict: bool,
    /// None: lent to whoever executes it.
    pages: Vec<Option<Box<Page>>>,
    /// Of each physical page its number in `pages`.
    by_number: Vec<u32>,
    journal_at: u64,
}

impl Code {
    pub(crate) fn new(decoder: Decoder, strict: bool) -> Self {
        Code { decoder, strict, pages: Vec::new(), by_number: vec![NOT_DECODED; 1 << 20], journal_at: 0 }
    }

    /// A page that [`Code::number_of`] numbered, until it is given back. Meanwhile nothing in it is forgotten.
    #[inline(always)]
    pub(crate) fn lend(&mut self, number: u32) -> Box<Page> {
        self.pages[number as usize].take().expect("a page is lent to one only")
    }

    #[inline(always)]
    pub(crate) fn give_back(&mut self, number: u32, page: Box<Page>) {
        self.pages[number as usize] = Some(page);
    }

    /// The number of the decoded page at `gpa`, which is memory. Numbers are void after the next call of this.
    #[inline(always)]
    pub(crate) fn number_of(&mut self, memory: &Memory, gpa: u32) -> u32 {
        let number = self.by_number[(gpa / PAGE_OCTETS) as usize];
        if number == NOT_DECODED { self.new_page(memory, gpa) } else { number }
    }

    #[cold]
    fn new_page(&mut self, memory: &Memory, gpa: u32) -> u32 {
        if self.pages.len() >= PAGES_MAX {
            self.forget(memory);
        }
        let mut page = Box::new([UNDECODED; PLACES + 1]);
        page[PLACES] = PAGE_END;
        let number = self.pages.len() as u32;
        self.by_number[(gpa / PAGE_OCTETS) as usize] = number;
        self.pages.push(Some(page));
        number
    }

    /// Decode the block that `place` of `page`, which is at `gpa`, is in, from there on. Only the page's first `octets`
    /// octets are code; behind them nothing may be executed.
    #[cold]
    pub(crate) fn decode(&self, memory: &mut Memory, page: &mut Page, gpa: u32, place: usize, octets: u32) {
        let gpa = gpa & !(PAGE_OCTETS - 1);
        let Some(ram) = memory.page(gpa) else { return };
        let end = (place / BLOCK_PLACES + 1) * BLOCK_PLACES;
        let mut next = UNDECODED;
        for at in (place..end).rev() {
            let mut op = match memory.load_u32(ram, at as u32 * 4) {
                _ if at as u32 * 4 >= octets => NO_CODE,
                word => Op::new(&self.decoder, word, self.strict),
            };
            if is_load(op.insn) && next.notices(op.a) {
                op.a |= LATE;
            }
            page[at] = op;
            next = op;
        }
        memory.mark_code(gpa + place as u32 * 4, (end - place) as u32 * 4);
    }

    /// The operation at `gpa`, which is memory; `octets` as for [`Code::decode`].
    pub(crate) fn fetch(&mut self, memory: &mut Memory, gpa: u32, octets: u32) -> Op {
        let place = (gpa % PAGE_OCTETS / 4) as usize;
        let number = self.number_of(memory, gpa);
        let mut page = self.lend(number);
        if page[place].insn == Insn::Undecoded {
            self.decode(memory, &mut page, gpa, place, octets);
        }
        let op = page[place];
        self.give_back(number, page);
        op
    }

    /// Forget what was written over.
    #[inline(always)]
    pub(crate) fn catch_up(&mut self, memory: &Memory) {
        if self.journal_at != memory.journal_end() {
            self.forget_changes(memory);
        }
    }

    #[cold]
    fn forget_changes(&mut self, memory: &Memory) {
        match memory.changes(self.journal_at) {
            Changes::These(changes) => {
                self.journal_at = memory.journal_end();
                for Change { page, blocks } in changes {
                    self.undecode(page, blocks);
                }
            }
            Changes::Everything => self.forget_contents(memory),
        }
    }

    fn undecode(&mut self, page: u32, blocks: u32) {
        let number = self.by_number[page as usize];
        if let Some(Some(page)) = self.pages.get_mut(number as usize) {
            for block in (0..32).filter(|block| blocks >> block & 1 != 0) {
                page[block * BLOCK_PLACES..][..BLOCK_PLACES].fill(UNDECODED);
            }
        }
    }

    /// Forget all operations; pages keep their numbers.
    fn forget_contents(&mut self, memory: &Memory) {
        for page in self.pages.iter_mut().flatten() {
            page[..PLACES].fill(UNDECODED);
        }
        self.journal_at = memory.journal_end();
    }

    /// Forget everything.
    fn forget(&mut self, memory: &Memory) {
        self.pages.clear();
        self.by_number.fill(NOT_DECODED);
        self.journal_at = memory.journal_end();
    }
}

//! Tests of address translation: rights, error codes, accessed and dirty bits, in all three kinds of tables.

use crate::control_registers::{CR0_PG, CR0_WP, CR4_PAE, CR4_PGE, CR4_PSE, EFER_NXE};
use crate::model::Options;
use crate::paging::Access::{self, Fetch, Read, Write};
use crate::testbench::*;

const DIRECTORY: u32 = 0x2_0000;
const TABLE: u32 = 0x2_1000;
const POINTERS: u32 = 0x2_2020;
/// A page, and where it is.
const LINEAR: u32 = 0x0040_3abc;
const GPA: u32 = 0x5_5abc;

const P: u32 = 1;
const RW: u32 = 2;
const US: u32 = 4;
const A: u32 = 0x20;
const D: u32 = 0x40;
const PS: u32 = 0x80;
const G: u32 = 0x100;

impl Bench {
    fn paged(directory: u32, table: u32) -> Bench {
        let mut bench = Bench::new();
        bench.put32(DIRECTORY + 4, TABLE | directory);
        bench.put32(TABLE + 12, GPA & !0xfff | table);
        bench.cpu.cr3 = DIRECTORY;
        bench.cpu.cr0 |= CR0_PG;
        bench
    }

    fn pae(options: Options, directory: u64, table: u64) -> Bench {
        let mut bench = Bench::of("pentium3", Options { pae: true, ..options });
        bench.put64(POINTERS, u64::from(DIRECTORY | P));
        bench.put64(DIRECTORY + 16, u64::from(TABLE) | directory);
        bench.put64(TABLE + 24, u64::from(GPA & !0xfff) | table);
        bench.ok(|cpu, memory| cpu.write_cr(memory, 4, CR4_PAE));
        bench.ok(|cpu, memory| cpu.write_cr(memory, 3, POINTERS));
        bench.ok(|cpu, memory| cpu.write_cr(memory, 0, cpu.cr0 | CR0_PG));
        bench
    }

    fn walk(&mut self, access: Access, user: bool) -> Result<u32, u32> {
        self.walk_at(LINEAR, access, user)
    }

    fn walk_at(&mut self, linear: u32, access: Access, user: bool) -> Result<u32, u32> {
        let seen = self.cpu.look(&self.memory, linear, access, user);
        match self.cpu.walk(&mut self.memory, linear, access, user) {
            Ok(mapped) => {
                assert_eq!(seen, Some(mapped.gpa));
                Ok(mapped.gpa)
            }
            Err(_) => {
                assert_eq!((self.cpu.raised.vector, self.cpu.raised.cr2, seen), (14, linear, None));
                Err(self.cpu.raised.error.unwrap())
            }
        }
    }
}

#[test]
fn rights_are_those_of_both_levels() {
    // (directory, table, write protection) → outcomes of supervisor read, write, user read, write
    let ok = Ok(GPA);
    for (directory, table, wp, expected) in [
        (P | RW | US, P | RW | US, false, [ok, ok, ok, ok]),
        (P | RW | US, P | US, false, [ok, ok, ok, Err(7)]),
        (P | US, P | RW | US, false, [ok, ok, ok, Err(7)]),
        (P | RW | US, P | US, true, [ok, Err(3), ok, Err(7)]),
        (P | US, P | RW | US, true, [ok, Err(3), ok, Err(7)]),
        (P | RW | US, P | RW, true, [ok, ok, Err(5), Err(7)]),
        (P | RW, P | RW | US, false, [ok, ok, Err(5), Err(7)]),
        (0, P | RW | US, false, [Err(0), Err(2), Err(4), Err(6)]),
        (P | RW | US, RW | US, false, [Err(0), Err(2), Err(4), Err(6)]),
    ] {
        let mut bench = Bench::paged(directory, table);
        if wp {
            bench.cpu.cr0 |= CR0_WP;
        }
        for ((access, user), expected) in
            [(Read, false), (Write, false), (Read, true), (Write, true)].into_iter().zip(expected)
        {
            assert_eq!(bench.walk(access, user), expected, "{directory:x} {table:x} {access:?} {user}");
        }
        let fetch = if expected[2].is_ok() { ok } else { expected[2] };
        assert_eq!(bench.walk(Fetch, true), fetch, "without NX, fetches are reads");
    }
}

#[test]
fn accessed_and_dirty_bits() {
    let mut bench = Bench::paged(P | RW | US, P | US);
    assert_eq!(bench.walk(Write, true), Err(7));
    assert_eq!((bench.get32(DIRECTORY + 4) & A, bench.get32(TABLE + 12) & (A | D)), (0, 0), "refused: no trace");
    assert_eq!(bench.walk(Read, true), Ok(GPA));
    assert_eq!((bench.get32(DIRECTORY + 4) & (A | D), bench.get32(TABLE + 12) & (A | D)), (A, A));
    assert_eq!(bench.walk(Write, false), Ok(GPA));
    assert_eq!((bench.get32(DIRECTORY + 4) & (A | D), bench.get32(TABLE + 12) & (A | D)), (A, A | D));
}

#[test]
fn large_pages_are_an_option_of_cr4() {
    let mut bench = Bench::paged(P | RW | US, P | RW | US);
    bench.put32(DIRECTORY + 4, 0x0080_0000 | PS | P | RW | US | 0x1000);
    bench.cpu.cr4 |= CR4_PSE;
    assert_eq!(bench.walk(Write, true), Ok(0x0080_3abc));
    assert_eq!(bench.get32(DIRECTORY + 4) & (A | D), A | D);
    bench.put32(DIRECTORY + 4, 0x0080_2000 | PS | P | RW | US);
    assert_eq!(bench.walk(Read, true), Err(0xd), "reserved");
    bench.cpu.cr4 &= !CR4_PSE;
    bench.put32(DIRECTORY + 4, TABLE | PS | P | RW | US);
    assert_eq!(bench.walk(Read, true), Ok(GPA), "the bit means nothing");
}

#[test]
fn the_pat_bit_is_reserved_where_there_is_no_pat() {
    let mut bench = Bench::paged(P | RW | US, P | RW | US | PS);
    bench.cpu.cr4 |= CR4_PSE;
    assert_eq!(bench.walk(Read, true), Ok(GPA));
    bench.cpu.model = crate::model::Model::find("pentium2", Options::default()).unwrap();
    assert_eq!(bench.walk(Read, true), Err(0xd));
    bench.cpu.cr4 = 0;
    assert_eq!(bench.walk(Read, true), Ok(GPA), "older processors do not look");
}

#[test]
fn global_pages_need_pge() {
    let mut bench = Bench::paged(P | RW | US | G, P | RW | US | G);
    let global = |bench: &mut Bench| bench.cpu.walk(&mut bench.memory, LINEAR, Read, true).unwrap().global;
    assert!(!global(&mut bench));
    bench.cpu.cr4 |= CR4_PGE;
    assert!(global(&mut bench));
    bench.put32(TABLE + 12, GPA & !0xfff | P);
    bench.put32(DIRECTORY + 4, TABLE | P | RW | US | G);
    assert!(!bench.cpu.walk(&mut bench.memory, LINEAR, Read, false).unwrap().global, "a table's bit does not count");
}

#[test]
fn pae() {
    let all = u64::from(P | RW | US);
    let mut bench = Bench::pae(Options::default(), all, all);
    assert_eq!(bench.walk(Write, true), Ok(GPA));
    assert_eq!((bench.get32(DIRECTORY + 16) & (A | D), bench.get32(TABLE + 24) & (A | D)), (A, A | D));
    assert_eq!(bench.walk_at(0x4000_0000, Read, true), Err(4), "the pointer is not present");
    assert_eq!(bench.walk_at(0x0060_0000, Write, false), Err(2));
    bench.put64(DIRECTORY + 16, 0x00a0_0000 | u64::from(PS | P | RW));
    assert_eq!(bench.walk(Read, false), Ok(0x00a0_3abc), "2 MiB");
    assert_eq!(bench.walk(Read, true), Err(5));
    for (directory, table) in [
        (all | 1 << 32, all),
        (all, all | 1 << 35),
        (all | 1 << 63, all),
        (all, all | 1 << 63),
        (all | u64::from(PS) | 0x2000, all),
    ] {
        let mut bench = Bench::pae(Options::default(), directory, table);
        assert_eq!(bench.walk(Read, true), Err(0xd), "{directory:#x} {table:#x}");
    }
}

#[test]
fn pages_that_are_not_executed() {
    let all = u64::from(P | RW | US);
    let nx = Options { nx: true, ..Options::default() };
    for (directory, table, expected) in
        [(all, all, Ok(GPA)), (all | 1 << 63, all, Err(0x15)), (all, all | 1 << 63, Err(0x15)), (all, 0, Err(0x14))]
    {
        let mut bench = Bench::pae(nx, directory, table);
        bench.cpu.system.efer = EFER_NXE;
        assert_eq!(bench.walk(Fetch, true), expected, "{directory:#x} {table:#x}");
        assert_eq!(bench.walk(Read, true).is_ok(), table != 0);
    }
    let mut bench = Bench::pae(nx, all, all | 1 << 63);
    assert_eq!(bench.walk(Read, true), Err(0xd), "without EFER.NXE the bit is reserved");
}

#[test]
fn directory_pointers_are_loaded_and_checked() {
    let all = u64::from(P | RW | US);
    let mut bench = Bench::pae(Options::default(), all, all);
    // Changed in memory, but not in the processor.
    bench.put64(POINTERS, 0);
    assert_eq!(bench.walk(Read, true), Ok(GPA));
    for pointer in [u64::from(DIRECTORY | 3), u64::from(DIRECTORY) | 0x21, u64::from(DIRECTORY) | 1 << 32 | 1] {
        bench.put64(POINTERS + 8, pointer);
        assert_eq!(bench.fault(|cpu, memory| cpu.write_cr(memory, 3, POINTERS)), (13, Some(0)), "{pointer:#x}");
        assert_eq!(bench.walk(Read, true), Ok(GPA));
    }
    bench.put64(POINTERS + 8, 0xffff_ffff_ffff_fffe);
    bench.ok(|cpu, memory| cpu.write_cr(memory, 3, POINTERS));
    assert_eq!(bench.walk(Read, true), Err(4));
}

#[test]
fn a20_masks_physical_addresses() {
    let mut bench = Bench::new();
    bench.cpu.a20 = false;
    assert_eq!(bench.walk_at(0x0012_3456, Read, false), Ok(0x0002_3456));
    let mut bench = Bench::paged(P, P);
    bench.cpu.a20 = false;
    bench.cpu.cr3 |= 0x0010_0000;
    assert_eq!(bench.walk(Read, false), Ok(GPA), "the tables' addresses as well");
}

#[test]
fn tables_that_are_not_memory_fault() {
    let mut bench = Bench::paged(P, P);
    bench.cpu.cr4 |= CR4_PSE;
    bench.cpu.cr3 = 0x8000_0000;
    assert_eq!(bench.walk(Read, false), Err(9));
}

#[test]
fn tables_in_rom_are_only_read() {
    let mut bench = Bench::paged(P | RW | US, P | RW | US);
    bench.memory.set_readonly(TABLE.into(), 0x1000, true).unwrap();
    assert_eq!(bench.walk(Write, true), Ok(GPA));
    assert_eq!(bench.get32(TABLE + 12) & (A | D), 0);
}

#[test]
fn loading_cr3_keeps_global_pages_alone() {
    let mut bench = Bench::paged(P | RW | US, P | RW | US | G);
    bench.put32(TABLE + 16, GPA & !0xfff | P | RW | US);
    bench.put32(GPA & !0xfff, 0x1111_1111);
    bench.put32(0x6_0000, 0x2222_2222);
    bench.cpu.cr4 |= CR4_PGE;
    let local = (LINEAR & !0xfff) + 0x1000;
    let read = |bench: &mut Bench, at| bench.ok(|cpu, memory| cpu.load_linear::<u32>(memory, at, false));
    let both = |bench: &mut Bench| (read(bench, LINEAR & !0xfff), read(bench, local));
    assert_eq!(both(&mut bench), (0x1111_1111, 0x1111_1111));
    bench.put32(TABLE + 12, 0x6_0000 | P | RW | US | G);
    bench.put32(TABLE + 16, 0x6_0000 | P | RW | US);
    bench.ok(|cpu, memory| cpu.write_cr(memory, 3, DIRECTORY));
    assert_eq!(both(&mut bench), (0x1111_1111, 0x2222_2222));
    bench.ok(|cpu, memory| cpu.write_cr(memory, 4, 0));
    assert_eq!(both(&mut bench), (0x2222_2222, 0x2222_2222), "CR4.PGE forgets all");
}

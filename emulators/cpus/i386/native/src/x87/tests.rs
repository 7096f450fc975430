//! Every row of the table beside the host's own unit: all of FNSAVE's image (but the pointers), memory and EFLAGS, from
//! random states: any tags, TOP, masks and condition codes. `SOFT_FLOAT_ROUNDS` multiplies the cases (`make test-oracles`).
#![cfg(target_arch = "x86_64")]

mod host;

use crate::descriptor::{BIG, REAL_RIGHTS};
use crate::exit::Exit;
use crate::model::{Model, Options};
use crate::state::{CS, Cpu, Segment};
use crate::table::{Kind, Map, Operand, Row, rows};
use guest_memory::Memory;
use host::{Host, Image};
use soft_float::F80;

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn number(&mut self) -> F80 {
        let kind = self.next();
        let negative = kind & 1 != 0;
        match kind >> 1 & 31 {
            0 => F80::zero(negative),
            1 => F80::infinity(negative),
            2 => F80::new(negative, 0, self.next() >> (kind >> 48 & 63)),
            3 => F80::new(negative, 0x7fff, self.next() | 3 << 62),
            4 => F80::new(negative, 0x7fff, self.next() >> 2 | 1 << 63),
            5 => F80::new(negative, (kind >> 16 & 0x7fff) as i32, self.next()),
            6 => F80::new(negative, (kind >> 16 & 0x7fff) as i32, self.next() | 1 << 63),
            7 => F80::new(negative, 0x3fff, 1 << 63),
            8..20 => F80::of_integer((self.next() as i64) >> (kind >> 16 & 63)),
            _ => F80::new(negative, 0x3fff - 12 + (kind >> 16 & 31) as i32, self.next() | 1 << 63),
        }
    }

    /// A state in which nothing is pending; most registers hold something.
    fn image(&mut self) -> Image {
        let bits = self.next();
        let masks = if bits & 3 == 0 { (bits >> 8) as u16 & 0x3f } else { 0x3f };
        let precision = [0x300, 0x300, 0x200, 0x000][(bits >> 2 & 3) as usize];
        let control = masks | precision | (bits >> 16) as u16 & 0x1c00 | 0x40;
        let mut status = (bits >> 32) as u16 & !0x8080 & (!0x3f | masks);
        if bits & 0x30 != 0 {
            status &= !0x7f;
        }
        let mut image = Image::new(control, status);
        let rare = [3, 7, 63, 63][(bits >> 6 & 3) as usize];
        for number in 0..8 {
            image.set_register(number, self.number(), self.next() & rare != 0);
        }
        // Pushing needs room: often ST(7) is empty.
        if bits & 0x40_0000 != 0 {
            let bits = image.st(7);
            image.set_st(7, bits, false);
        }
        image
    }

    /// Octets for a memory operand.
    fn operand(&mut self, kind: &str) -> [u8; 128] {
        let small = self.next();
        let value = match kind {
            "m80fp" => self.number().to_bits(),
            "m80dec" => (0..18)
                .fold(u128::from(small & 1) << 79, |bits, digit| bits | u128::from(self.next() % 10) << (4 * digit)),
            "m32fp" => self.number().to_single(&mut soft_float::Context::new()).into(),
            "m64fp" => self.number().to_double(&mut soft_float::Context::new()).into(),
            _ => (self.next() as i64 >> (small & 63)) as u128,
        };
        let value = if kind.ends_with("fp") && kind != "m80fp" && small & 7 == 0 { self.next().into() } else { value };
        let mut octets = [0x5a; 128];
        octets[..10].copy_from_slice(&value.to_le_bytes()[..10]);
        if kind == "environment" {
            // An environment, and registers.
            let mut image = self.image();
            image.set_control_and_status(self.next() as u16, self.next() as u16);
            octets[..108].copy_from_slice(image.octets());
        }
        octets
    }
}

fn distance(a: F80, b: F80) -> u128 {
    let key = |x: F80| {
        let magnitude = i128::from(x.abs().sign_exponent) << 63 | i128::from(x.significand & !(1 << 63));
        if x.is_negative() { -magnitude } else { magnitude }
    };
    key(a).abs_diff(key(b))
}

/// Results that may differ in the last place, and C1 with them; operands outside the domain are left out.
const TRANSCENDENTAL: [&str; 8] = ["f2xm1", "fyl2x", "fyl2xp1", "fptan", "fpatan", "fsin", "fcos", "fsincos"];

fn is_outside(name: &str, image: &Image) -> bool {
    let x = image.st(0).abs();
    match name {
        "f2xm1" => x.sign_exponent >= 0x3fff,
        "fyl2xp1" => x.sign_exponent >= 0x3ffd,
        _ => false,
    }
}

/// What a row's operand in memory is.
fn operand_of(row: &Row) -> &'static str {
    if row.kind != Kind::Memory {
        return "";
    }
    match (row.operands[0], row.opcode) {
        (Operand::M, _) => "environment",
        (Operand::M32, 0xd8 | 0xd9) => "m32fp",
        (Operand::M64, 0xdc | 0xdd) => "m64fp",
        (Operand::M80, 0xdb) => "m80fp",
        (Operand::M80, _) => "m80dec",
        _ => "integer",
    }
}

/// The operand, and the code of each ST(i).
const AT: u32 = 0x1000;
const CODE_AT: u32 = 0x2000;

/// A processor with code of 32 bits, without paging.
fn processor() -> Cpu {
    let mut cpu = Cpu::new(Model::find("pentium3", Options::default()).expect("a model"), false);
    cpu.set_segment(CS, Segment::new(0, 0, 0xffff, REAL_RIGHTS | BIG));
    cpu
}

/// Differences of one row, of which the first are told.
struct Row87<'a> {
    row: &'a Row,
    operand: &'static str,
    count: u32,
    shown: Vec<String>,
}

impl Row87<'_> {
    fn compare(&mut self, cpu: &mut Cpu, memory: &mut Memory, host: &Host, which: u8, random: &mut Random) {
        let image = random.image();
        let octets = random.operand(self.operand);
        let flags = random.next() as u32 & 0x8d5 | 2;
        let name = self.row.mnemonic;
        if is_outside(name, &image) {
            return;
        }
        let expected = host.execute(&image, octets, flags);

        image.load(&mut cpu.fpu);
        cpu.set_eflags(flags);
        cpu.eip = CODE_AT + 16 * u32::from(which);
        cpu.regs[0] = 0;
        memory.write(AT.into(), &octets).expect("memory");
        cpu.regs[2] = AT;
        assert_eq!(cpu.run(memory, 1), Exit::Budget, "{name}");
        let mut after = Image::of(&cpu.fpu);
        let mut left = [0; 128];
        memory.read(AT.into(), &mut left).expect("memory");

        let (mut wanted, mut theirs) = (expected.image.clone(), expected.memory);
        if name.contains("comi") {
            // Intel's clear it (SDM vol. 2, FCOMI); the tests' host may be another's.
            wanted.clear_c1();
        }
        if TRANSCENDENTAL.contains(&name) {
            wanted.clear_c1();
            after.clear_c1();
            for number in 0..8 {
                let (ours, hosts) = (after.st(number), wanted.st(number));
                if distance(ours, hosts) == 1 {
                    after.set_st(number, hosts, true);
                }
            }
        }
        if self.operand == "environment" {
            // Pointers: other processors keep them for exceptions only.
            theirs[12..28].copy_from_slice(&left[12..28]);
        }
        let ax = if self.row.operands == [Operand::Ax] { expected.ax } else { 0 };
        let ours = (after.visible(), left, cpu.eflags() & 0x8d5, cpu.regs[0] as u16);
        let hosts = (wanted.visible(), theirs, expected.flags & 0x8d5, ax);
        if ours != hosts {
            self.count += 1;
            if self.shown.len() < 3 {
                let tell = |image: &Image, octets: &[u8; 128], flags: u32| {
                    format!("{} {:x?} {flags:x}", image.text(), &octets[..28])
                };
                self.shown.push(format!(
                    "st{which} before {}\n  ours {}\n  host {}",
                    image.text(),
                    tell(&after, &ours.1, ours.2),
                    tell(&wanted, &hosts.1, hosts.2)
                ));
            }
        }
    }
}

#[test]
fn instructions_are_the_hosts() {
    let factor = std::env::var("SOFT_FLOAT_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    let mut memory = Memory::new().expect("memory");
    memory.add(0, 0x10000, false).expect("a slot");
    let mut differences = String::new();
    let rows: Vec<&Row> = rows().iter().filter(|row| row.map == Map::One && row.opcode & 0xf8 == 0xd8).collect();
    assert!(rows.len() > 130, "{} rows", rows.len());
    for row in rows {
        let group = row.group.unwrap_or(0) << 3;
        let (first, last) = match (row.kind, row.modrm) {
            (_, Some(octet)) => (octet, octet),
            (Kind::Memory, _) => (group | 2, group | 2), // [edx]
            _ => (0xc0 | group, 0xc7 | group),
        };
        let mut random = Random(u64::from(row.opcode) << 8 | u64::from(first));
        let mut cpu = processor();
        let hosts: Vec<Host> = (first..=last).map(|modrm| Host::new(&[row.opcode, modrm])).collect();
        for (which, modrm) in (first..=last).enumerate() {
            memory.write((CODE_AT + 16 * which as u32).into(), &[row.opcode, modrm]).expect("memory");
        }
        let mut comparison = Row87 { row, operand: operand_of(row), count: 0, shown: Vec::new() };
        for round in 0..400 * factor {
            let which = round % hosts.len();
            comparison.compare(&mut cpu, &mut memory, &hosts[which], which as u8, &mut random);
        }
        if comparison.count > 0 {
            let Row87 { count, shown, .. } = comparison;
            differences += &format!("{} {:02x} {first:02x}: {count}\n{}\n", row.mnemonic, row.opcode, shown.join("\n"));
        }
    }
    assert!(differences.is_empty(), "{differences}");
}

/// How fast: a loop of double precision, in millions of instructions a second (`--ignored --nocapture`).
#[test]
#[ignore = "a measurement"]
fn speed() {
    let mut memory = Memory::new().expect("memory");
    memory.add(0, 0x10000, false).expect("a slot");
    let mut cpu = processor();
    cpu.fpu.init();
    cpu.eip = CODE_AT;
    // fld [1000]; fmul [1008]; fadd [1010]; fstp [1000]; dec ecx; jmp
    let code = [
        0xdd, 0x05, 0x00, 0x10, 0, 0, 0xdc, 0x0d, 0x08, 0x10, 0, 0, 0xdc, 0x05, 0x10, 0x10, 0, 0, 0xdd, 0x1d, 0x00,
        0x10, 0, 0, 0x49, 0xeb, 0xe5,
    ];
    memory.write(CODE_AT.into(), &code).expect("memory");
    for (at, value) in [(0x1000, 1.1f64), (0x1008, 0.999), (0x1010, 0.1234567)] {
        memory.write(at, &value.to_le_bytes()).expect("memory");
    }
    for precision in [0x37f, 0x27f] {
        cpu.fpu.set_control(precision);
        let start = std::time::Instant::now();
        assert_eq!(cpu.run(&mut memory, 30_000_000), Exit::Budget);
        println!("control {precision:#x}: {:.1} MIPS", 30.0 / start.elapsed().as_secs_f64());
    }
}

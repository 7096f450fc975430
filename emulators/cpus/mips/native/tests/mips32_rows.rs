//! Every row of the instruction table that a 24Kf has, executed: cases from `mips32/rows.txt`.

use guest_memory::Memory;
use mips_engine::exit::Exit;
use mips_engine::mips32::{Cpu, Options};
use mips_engine::table::{Decoder, FP, M1, M2, M32, R2, ROWS, Row, TLB};
use std::collections::HashMap;

const PC: u64 = 0x8000_1000;
const HAS: u16 = M1 | M2 | M32 | R2 | FP | TLB;

fn number(text: &str) -> u64 {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    }
    .unwrap_or_else(|_| panic!("{text}: a number was expected"))
}

fn word(row: &Row, fields: &str) -> u32 {
    fields.split_whitespace().fold(row.value, |word, field| {
        let (letter, value) = field.split_at(1);
        let shift = match letter {
            "s" => 21,
            "t" => 16,
            "d" => 11,
            "a" | "c" => 6,
            "n" => 18,
            "m" => 8,
            _ => 0,
        };
        word | (number(value) as u32) << shift
    })
}

fn pairs(text: &str) -> Vec<(String, u64)> {
    text.split_whitespace()
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap();
            (name.to_owned(), number(value))
        })
        .collect()
}

fn check(line: &str) -> &'static Row {
    let parts: Vec<&str> = line.split('|').map(str::trim).collect();
    let [name, fields, before, after] = parts[..] else { panic!("{line}: four parts were expected") };
    let decoder = Decoder::new(HAS);
    let row = ROWS
        .iter()
        .find(|row| row.name == name && row.needs & !HAS == 0 && decoder.decode(word(row, fields)) == row.insn)
        .unwrap_or_else(|| panic!("{line}: is not this instruction"));
    let mut memory = Memory::new().unwrap();
    memory.add(0, 0x4000, false).unwrap();
    memory.write(PC & 0xffff, &word(row, fields).to_le_bytes()).unwrap();
    let mut cpu = Cpu::new(Options { tlb_entries: 16, hypercalls: false }).unwrap();
    let mut state = vec![("pc".to_owned(), PC), ("status".to_owned(), 0x2400_0000), ("epc".to_owned(), 0)];
    let mut run = 1;
    for (name, value) in pairs(before) {
        if let Some(address) = name.strip_prefix('@') {
            memory.write(number(address), &(value as u32).to_le_bytes()).unwrap();
        } else if name == "run" {
            run = value;
        } else {
            state.push((name, value));
        }
    }
    cpu.set_state(&state).unwrap();
    let mut expected: HashMap<String, u64> = pairs(after).into_iter().collect();
    let exit = cpu.run(&mut memory, run);
    assert!(matches!(exit, Exit::Budget | Exit::Halt), "{line}: {exit:?}");
    let state: HashMap<String, u64> = cpu.state().into_iter().collect();
    if let Some(code) = expected.remove("exc") {
        assert_eq!(state["cause"] >> 2 & 31, code, "{line}: {:#x}", state["pc"]);
        assert_eq!(state["status"] & 2, 2, "{line}");
        expected.entry("pc".to_owned()).or_insert(0x8000_0180);
    }
    expected.entry("pc".to_owned()).or_insert(PC + 4 * run);
    for (name, value) in expected {
        let found = match name.strip_prefix('@') {
            Some(address) => {
                let mut octets = [0; 4];
                memory.read(number(address), &mut octets).unwrap();
                u64::from(u32::from_le_bytes(octets))
            }
            None => *state.get(&name).unwrap_or_else(|| panic!("{line}: no {name}")),
        };
        assert_eq!(found, value, "{line}: {name} is {found:#x}");
    }
    row
}

#[test]
fn every_row_does_what_the_manual_says() {
    let lines = include_str!("mips32/rows.txt").lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let tested: Vec<_> = lines.map(|line| check(line).insn).collect();
    for row in ROWS.iter().filter(|row| row.needs & !HAS == 0) {
        assert!(tested.contains(&row.insn), "{}: no case in rows.txt", row.name);
    }
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// An instruction of the table with random fields, or any word at all.
    fn word(&mut self) -> u32 {
        let row = &ROWS[self.next() as usize % ROWS.len()];
        let free = self.next() as u32;
        if self.next() & 15 == 0 { free } else { row.value | free & !row.mask }
    }
}

/// Any code from any state: every budget ends exactly, two runs cut differently end alike, and a snapshot goes on alike.
#[test]
fn random_code_from_random_states_ends_and_repeats() {
    let mut random = Random(u64::from(std::process::id()));
    println!("seed {}", random.0);
    for _ in 0..if cfg!(debug_assertions) { 20 } else { 200 } {
        let mut code = Vec::new();
        for _ in 0..0x1000 {
            code.extend_from_slice(&random.word().to_le_bytes());
        }
        let address = |random: &mut Random| {
            let segment = [0u64, 0x8000_0000, 0xa000_0000, 0xc000_0000][random.next() as usize & 3];
            segment | random.next() & [0x3ffc, 0x3fff, 0x1fff_ffff, 0xfff0][random.next() as usize & 3]
        };
        let mut state: Vec<(String, u64)> = (1..32).map(|n| (format!("r{n}"), address(&mut random))).collect();
        state.push(("pc".into(), address(&mut random) & !3));
        state.push(("status".into(), random.next() & 0x2400_ff17 | 0x2000_0000));
        state.push(("in_delay_slot".into(), random.next() & 1));
        state.push(("branch_target".into(), address(&mut random)));
        state.push(("compare".into(), random.next() & 0xfff));
        for n in 0..16 {
            state.push((format!("f{n}"), random.next()));
            state.push((format!("tlb{n}.entryhi"), address(&mut random)));
            state.push((format!("tlb{n}.entrylo0"), random.next() & 0xff | 3));
            state.push((format!("tlb{n}.entrylo1"), random.next() & 0xff | 3));
        }
        let seeds = [random.next(), random.next()];
        let ends = seeds.map(|seed| {
            let mut memory = Memory::new().unwrap();
            memory.add(0, 0x4000, false).unwrap();
            memory.write(0, &code).unwrap();
            let mut cpu = Cpu::new(Options { tlb_entries: 16, hypercalls: true }).unwrap();
            cpu.set_state(&state).unwrap();
            let mut cuts = Random(seed);
            let mut calls = 0;
            while cpu.icount() < 3000 {
                let budget = (cuts.next() % 200 + 1).min(3000 - cpu.icount());
                let before = cpu.icount();
                let exit = cpu.run(&mut memory, budget);
                calls += 1;
                assert!(cpu.icount() <= before + budget, "{exit:?}");
                assert!(calls < 20_000, "{exit:?}");
                match exit {
                    Exit::Budget => assert_eq!(cpu.icount(), before + budget),
                    Exit::MmioRead { gpa, .. } => cpu.answer(u64::from(gpa).wrapping_mul(77), gpa & 64 != 0),
                    Exit::Halt => cpu.skip(cpu.next_timer().unwrap_or(0)).unwrap(),
                    _ => {}
                }
                if matches!(exit, Exit::Halt) && cpu.run(&mut memory, 1) == Exit::Halt {
                    break; // nothing wakes it
                }
                if cuts.next() & 15 == 0 {
                    let saved = cpu.snapshot();
                    cpu.restore(&saved).unwrap();
                    assert_eq!(cpu.snapshot(), saved);
                }
            }
            let mut whole = vec![0; 0x4000];
            memory.read(0, &mut whole).unwrap();
            (cpu.state(), cpu.icount(), whole)
        });
        assert!(ends[0] == ends[1], "seeds {seeds:?}");
    }
}

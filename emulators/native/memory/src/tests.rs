use super::*;

fn memory() -> Memory {
    let mut memory = Memory::new().unwrap();
    memory.add(0, 0x4000, false).unwrap();
    memory.add(0x1fc0_0000, 0x1000, true).unwrap();
    memory.add(0xffff_f000, 0x1000, false).unwrap();
    memory
}

#[test]
fn slots_are_whole_pages_that_do_not_overlap() {
    let mut memory = memory();
    for (gpa, octets) in
        [(0x10, 0x1000), (0x8000, 0), (0x8000, 12), (0x3000, 0x2000), (0xffff_f000, 0x2000), (u64::MAX - 4095, 0x1000)]
    {
        assert!(matches!(memory.add(gpa, octets, false), Err(Error::Slot(_))), "{gpa:#x} {octets:#x}");
    }
    memory.add(0x4000, 0x1000, false).unwrap();
    assert_eq!(memory.slots().len(), 4);
}

#[test]
fn host_accesses_cross_pages_and_slots_but_never_leave_them() {
    let mut memory = memory();
    memory.add(0x4000, 0x1000, true).unwrap();
    let data: Vec<u8> = (0..0x2100u32).map(|n| n as u8).collect();
    memory.write(0x2f00, &data).unwrap();
    let mut back = vec![0; data.len()];
    memory.read(0x2f00, &mut back).unwrap();
    assert_eq!(back, data);
    assert!(matches!(memory.write(0x4fff, &[1, 2]), Err(Error::Outside { gpa: 0x4fff, octets: 2 })));
    assert!(memory.read(0x10_0000, &mut [0]).is_err());
    assert!(memory.read(u64::MAX, &mut [0, 0]).is_err());
    memory.write(0xffff_ffff, &[7]).unwrap();
    assert!(memory.write(0xffff_ffff, &[7, 7]).is_err());
}

#[test]
fn stores_keep_dirty_bits() {
    let mut memory = memory();
    assert_eq!(memory.plain_page(0x1000), None);
    assert_eq!(memory.store(0x1004, 4, 0x1234_5678), Stored::Data);
    assert_eq!(memory.store(0x1fc0_0000, 4, 1), Stored::Not);
    assert_eq!(memory.store(0x5000, 4, 1), Stored::Not);
    let page = memory.plain_page(0x1abc).unwrap();
    assert_eq!(memory.load_u16(page, 0x1006), 0x1234);
    memory.write(0x1fc0_0000, &[1]).unwrap();
    assert_eq!(memory.plain_page(0x1fc0_0000), None);
    let epoch = memory.plain_epoch();
    assert_eq!(memory.dirty(false), [1, 0x1fc00]);
    assert_eq!(memory.plain_epoch(), epoch);
    assert_eq!(memory.dirty(true), [1, 0x1fc00]);
    assert_ne!(memory.plain_epoch(), epoch);
    assert_eq!(memory.plain_page(0x1000), None);
    assert_eq!(memory.dirty(true), []);
}

#[test]
fn writes_to_decoded_code_are_told() {
    let mut memory = memory();
    let start = memory.journal_end();
    memory.store(0x2000, 4, 0);
    assert!(memory.plain_page(0x2000).is_some());
    memory.mark_code(0x2000 + 128, 4);
    assert!(memory.plain_page(0x2000).is_none());
    assert_eq!(memory.store(0x2000, 8, 0), Stored::Data);
    assert_eq!(memory.store(0x20fc, 4, 0), Stored::Code);
    assert_eq!(memory.store(0x20fc, 4, 0), Stored::Data); // nothing decoded there any more
    memory.mark_code(0x2000, 4096);
    memory.write(0x1f00, &[0; 0x240]).unwrap();
    let first = Change { page: 2, blocks: 2 };
    assert_eq!(memory.changes(start), Changes::These(vec![first, Change { page: 2, blocks: 7 }]));
    assert_eq!(memory.changes(memory.journal_end()), Changes::These(vec![]));
}

#[test]
fn a_late_reader_of_the_journal_forgets_everything() {
    let mut memory = memory();
    for _ in 0..=JOURNAL_ENTRIES {
        memory.mark_code(0, 4);
        memory.store(0, 4, 0);
    }
    assert_eq!(memory.changes(0), Changes::Everything);
    assert!(matches!(memory.changes(1), Changes::These(these) if these.len() == JOURNAL_ENTRIES));
}

#[test]
fn accessors_never_leave_the_page() {
    let mut memory = memory();
    memory.store(0, 1, 0);
    let page = memory.plain_page(0).unwrap();
    memory.store_u32(page, 0xffff_ffff, 0xaabb_ccdd);
    assert_eq!(memory.load_u8(page, 0xfff), 0xaa);
    assert_eq!(memory.load_u64(page, 0xfff), 0xaabb_ccdd_0000_0000);
    assert_eq!(page.gpa(), 0);
}

#[test]
fn blocks_of_octets() {
    assert_eq!(blocks(0, 1), 1);
    assert_eq!(blocks(127, 2), 3);
    assert_eq!(blocks(0, 4096), u32::MAX);
    assert_eq!(blocks(4092, 8), 1 << 31);
}

#[test]
fn removed_memory_is_gone_and_comes_back_empty() {
    let mut memory = memory();
    memory.store(0x2000, 4, 7);
    memory.mark_code(0x1000, 200);
    memory.mark_code(0x1fc0_0000, 4);
    let (start, epoch, plain) = (memory.journal_end(), memory.mapping_epoch(), memory.plain_epoch());
    assert!(matches!(memory.remove(0x1000), Err(Error::NoSlot { gpa: 0x1000 })));
    assert_eq!(memory.mapping_epoch(), epoch);
    assert_eq!(memory.remove(0).unwrap(), Slot { gpa: 0, octets: 0x4000, readonly: false });
    assert_ne!(memory.mapping_epoch(), epoch);
    assert_ne!(memory.plain_epoch(), plain);
    assert_eq!(memory.changes(start), Changes::These(vec![Change { page: 1, blocks: 3 }]));
    assert!(memory.page(0x2000).is_none() && memory.plain_page(0x2000).is_none());
    assert_eq!(memory.store(0x2000, 4, 1), Stored::Not);
    assert!(memory.read(0x2000, &mut [0]).is_err());
    assert_eq!(memory.dirty(true), []);
    assert_eq!((memory.slots().len(), memory.octets()), (2, 0x2000));
    memory.add(0x1000, 0x2000, false).unwrap();
    let mut back = [1; 4];
    memory.read(0x2000, &mut back).unwrap();
    assert_eq!(back, [0; 4]);
}

#[test]
fn rights_change_by_pages() {
    let mut memory = memory();
    memory.store(0x1000, 4, 7);
    let (epoch, whole) = (memory.mapping_epoch(), memory.slots());
    for (gpa, octets) in [(0x1000, 0), (0x1004, 0x1000), (0x1000, 4), (0x3000, 0x2000), (0x8000, 0x1000)] {
        assert!(memory.set_readonly(gpa, octets, true).is_err(), "{gpa:#x} {octets:#x}");
    }
    assert_eq!((memory.mapping_epoch(), memory.slots()), (epoch, whole.clone()));
    memory.set_readonly(0x1000, 0x2000, true).unwrap();
    assert_ne!(memory.mapping_epoch(), epoch);
    assert_eq!(memory.store(0x1000, 4, 9), Stored::Not);
    assert!(memory.plain_page(0x1000).is_none());
    let part = |gpa, octets, readonly| Slot { gpa, octets, readonly };
    assert_eq!(memory.slots()[..3], [part(0, 0x1000, false), part(0x1000, 0x2000, true), part(0x3000, 0x1000, false)]);
    memory.set_readonly(0x1000, 0x2000, false).unwrap();
    assert_eq!(memory.slots(), whole);
    assert_eq!(memory.load_u32(memory.plain_page(0x1000).unwrap(), 0), 7);
    memory.set_readonly(0x1fc0_0000, 0x1000, false).unwrap();
    assert_eq!(memory.store(0x1fc0_0000, 4, 9), Stored::Data);
}

#[test]
fn neighbours_are_two_slots() {
    let mut memory = memory();
    memory.add(0x4000, 0x1000, false).unwrap();
    assert_eq!(memory.slots().len(), 4);
}

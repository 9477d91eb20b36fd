//! Logs torn at every byte, and with every byte flipped, where nothing shows that the end had been synced. (Where
//! something does: `forgetting.rs`.)

use super::*;

/// Three batches; the last has two records.
fn batches() -> Vec<Vec<Entry>> {
    vec![
        vec![noop(1, 1), put(1, 2, "a", "first")],
        vec![put(1, 3, "b", "second"), del(1, 4, "a"), noop(2, 5)],
        vec![put(2, 6, "a", "third"), put(2, 7, "c", "fourth")],
    ]
}

/// Nobody knows any more up to where the log was synced.
fn unmark(disk: &Arc<dyn Disk>, dir: &Path) {
    if disk.open(&dir.join("synced")).is_ok() {
        disk.remove_file(&dir.join("synced")).unwrap();
    }
}

fn entries() -> Vec<Entry> {
    batches().concat()
}

fn write_batches(rig: &mut Rig) {
    for batch in batches() {
        rig.run(vec![append(batch)]);
    }
}

#[test]
fn a_log_torn_at_any_byte_keeps_all_records_before_it() {
    each_disk(|disk, dir| {
        let mut rig = Rig::open(disk, dir);
        write_batches(&mut rig);
        let path = rig.last_segment();
        let whole = read_file(disk, &path);
        let ends = record_ends(&entries());
        assert_eq!(*ends.last().unwrap(), whole.len());

        for cut in ends[0]..whole.len() {
            drop(rig);
            write_file(disk, &path, &whole[..cut]);
            unmark(disk, dir);
            rig = Rig::open(disk, dir);
            let kept = ends.iter().filter(|&&end| end <= cut).count() - 1;
            assert_eq!(rig.log(), entries()[..kept], "cut at {cut}");
            let torn =
                (cut > ends[kept]).then(|| (path.clone(), ends[kept] as u64, (cut - ends[kept]) as u64));
            assert_eq!(rig.opened.torn, torn, "cut at {cut}");

            // It goes on from there, and the tear has left nothing behind.
            let seq = kept as u64 + 1;
            rig.run(vec![append(vec![put(9, seq, "next", "value")])]);
            rig = rig.reopen();
            assert_eq!(rig.opened.torn, None);
            assert_eq!(rig.get("next"), value("value", at(9, seq)));
        }
    });
}

/// All bits of a byte at once, and each by itself, in every byte of every record but the last, and of the header:
/// refused with its place; but in a value, it is damage to that value alone. In the last record it may be a tear: cut or
/// refused, and no record before it is touched.
#[test]
fn every_flip_of_every_byte_is_refused_or_is_damage_to_a_value_or_is_the_torn_last_record() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new(0));
    let dir = Path::new("/d");
    let mut rig = Rig::open(&disk, dir);
    write_batches(&mut rig);
    let path = rig.last_segment();
    let whole = read_file(&disk, &path);
    let ends = record_ends(&entries());
    let in_value = |at: usize| {
        let nth = ends.iter().rposition(|&end| end <= at).unwrap();
        at >= ends[nth + 1] - entries()[nth].op.value().len()
    };
    drop(rig);
    for at in 0..whole.len() {
        let flips = (0..8).map(|bit| 1 << bit).chain([0xff]);
        for flip in flips {
            let mut bytes = whole.clone();
            bytes[at] ^= flip;
            write_file(&disk, &path, &bytes);
            unmark(&disk, dir);
            let start = ends.iter().rfind(|&&end| end <= at).copied();
            match open(disk.clone(), dir, Options::new(NODE)) {
                Err(StorageError::Corrupt { file, offset, .. }) => {
                    assert_eq!(file, path);
                    if let Some(start) = start {
                        assert_eq!(offset, start as u64, "byte {at}");
                        assert!(!in_value(at), "byte {at} is in a value");
                    }
                }
                Err(StorageError::Version { .. }) if start.is_none() => {}
                Err(other) => panic!("byte {at}: {other}"),
                Ok((store, _, opened)) => {
                    let last = ends[ends.len() - 2];
                    if start < Some(last) {
                        assert!(in_value(at), "byte {at} is in no value");
                        assert_eq!((store.last(), opened.torn), (entries().last().unwrap().at, None));
                        continue;
                    }
                    assert_eq!(start, Some(last), "byte {at} is in an earlier record");
                    let torn = Some((path.clone(), last as u64, (whole.len() - last) as u64));
                    assert_eq!(opened.torn, torn, "byte {at}");
                    assert_eq!(store.last(), entries()[entries().len() - 2].at, "byte {at}");
                }
            }
        }
    }
}

/// The last segment of several, torn at every byte of its records and of its header; the earlier ones are closed.
#[test]
fn the_last_of_several_segments_torn_at_any_byte_keeps_all_records_before_it() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new(0));
    let (dir, options) = (Path::new("/d"), Options { segment_bytes: 120, ..Options::new(NODE) });
    let mut rig = Rig::open_with(&disk, dir, options).unwrap();
    write_batches(&mut rig);
    let path = rig.last_segment();
    assert!(path.ends_with("00000003.log"), "{}", path.display());
    let whole = read_file(&disk, &path);
    drop(rig);
    let mut kept = Vec::new();
    for cut in 0..whole.len() {
        write_file(&disk, &path, &whole[..cut]);
        unmark(&disk, dir);
        let rig = Rig::open_with(&disk, dir, options).unwrap();
        let log = rig.log();
        assert_eq!(log, entries()[..log.len()], "cut at {cut}");
        let boundary = read_file(&disk, &path).len();
        let torn = (cut != boundary).then_some((path.clone(), boundary.min(cut) as u64));
        let said = rig.opened.torn.clone().map(|(file, offset, _)| (file, offset));
        if cut >= 28 {
            assert_eq!(said, torn, "cut at {cut}");
        } else {
            assert_eq!(said, Some((path.clone(), 0)), "cut at {cut}: the segment begins again");
        }
        kept.push(log.len());
    }
    assert!(kept.is_sorted() && kept[0] >= 4 && kept.last() == Some(&6), "{kept:?}");
}

#[test]
fn a_tail_of_zeros_or_rubbish_is_cut() {
    each_disk(|disk, dir| {
        let mut rig = Rig::open(disk, dir);
        write_batches(&mut rig);
        let path = rig.last_segment();
        let whole = read_file(disk, &path);
        let ends = record_ends(&entries());
        for rubbish in [&[0u8; 5000][..], &[0xff; 100], &[7; 3], &whole[..whole.len() / 2]] {
            for cut in [whole.len(), whole.len() - 3, ends[ends.len() - 2]] {
                let mut bytes = whole[..cut].to_vec();
                bytes.extend_from_slice(rubbish);
                drop(rig);
                write_file(disk, &path, &bytes);
                unmark(disk, dir);
                rig = Rig::open(disk, dir);
                let kept = if cut == whole.len() { 7 } else { 6 };
                assert_eq!(rig.log(), entries()[..kept]);
                let dropped = (bytes.len() - ends[kept]) as u64;
                assert_eq!(rig.opened.torn, Some((path.clone(), ends[kept] as u64, dropped)));
            }
        }
    });
}

#[test]
fn a_flipped_bit_in_the_head_of_any_earlier_record_is_refused_with_its_place() {
    each_disk(|disk, dir| {
        let mut rig = Rig::open(disk, dir);
        write_batches(&mut rig);
        let path = rig.last_segment();
        let whole = read_file(disk, &path);
        let ends = record_ends(&entries());
        let last_record = ends[ends.len() - 2];
        drop(rig);
        let values: Vec<_> =
            ends[1..].iter().zip(entries()).map(|(end, e)| end - e.op.value().len()..*end).collect();
        for at in (0..last_record).filter(|at| !values.iter().any(|value| value.contains(at))) {
            for flip in [0x01, 0x80] {
                let mut bytes = whole.clone();
                bytes[at] ^= flip;
                write_file(disk, &path, &bytes);
                let error = open(disk.clone(), dir, Options::new(NODE)).unwrap_err();
                let StorageError::Corrupt { file, offset, .. } = &error else { panic!("byte {at}: {error}") };
                assert_eq!(*file, path);
                if at >= ends[0] {
                    let start = ends.iter().rfind(|&&end| end <= at).unwrap();
                    assert_eq!(*offset, *start as u64, "byte {at}: {error}");
                }
                assert!(error.to_string().contains(&format!("{}: corrupt at byte {offset}", path.display())));
            }
        }
        // Refusing changes nothing.
        write_file(disk, &path, &whole);
        assert_eq!(Rig::open(disk, dir).log(), entries());
    });
}

#[test]
fn a_missing_sector_before_whole_records_of_the_same_batch_is_a_tear() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new(0));
    let dir = Path::new("/d");
    let mut rig = Rig::open(&disk, dir);
    rig.run(vec![append(vec![noop(1, 1)])]);
    let batch: Vec<_> = (2..=6).map(|seq| put(1, seq, "key", &"value ".repeat(60))).collect();
    rig.run(vec![append(batch)]);
    let path = rig.last_segment();
    let whole = read_file(&disk, &path);
    let ends = record_ends(&rig.log());

    // The sector from 512 on was not written before the power went; those after it were.
    let mut bytes = whole.clone();
    bytes[512..1024].fill(0);
    drop(rig);
    write_file(&disk, &path, &bytes);
    unmark(&disk, dir);
    let rig = Rig::open(&disk, dir);
    let kept = ends.iter().filter(|&&end| end <= 512).count() - 1;
    assert_eq!(rig.log().len(), kept);
    assert_eq!(rig.opened.torn.as_ref().unwrap().1, ends[kept] as u64);

    // The same damage, but later writes show that the sector had been synced.
    drop(rig);
    write_file(&disk, &path, &whole);
    let mut rig = Rig::open(&disk, dir);
    rig.run(vec![append(vec![put(1, 7, "later", "value")])]);
    let mut bytes = read_file(&disk, &path);
    bytes[512..1024].fill(0);
    write_file(&disk, &path, &bytes);
    // Of the record that it begins in, only the value is damaged; of the next, the head.
    unmark(&disk, dir);
    let error = rig.reopen_error();
    assert!(
        matches!(error, StorageError::Corrupt { offset, .. } if offset == ends[kept + 1] as u64),
        "{error}"
    );
    assert!(error.to_string().contains("written after this place was synced"), "{error}");
}

#[test]
fn closed_segments_are_never_torn() {
    each_disk(|disk, dir| {
        let options = Options { segment_bytes: 100, ..Options::new(NODE) };
        let mut rig = Rig::open_with(disk, dir, options).unwrap();
        write_batches(&mut rig);
        let log_dir = dir.join("log-00000001");
        let names = disk.list(&log_dir).unwrap();
        assert!(names.len() >= 3);
        drop(rig);
        for name in &names[..names.len() - 1] {
            let path = log_dir.join(name);
            let whole = read_file(disk, &path);
            let mut flipped = whole.clone();
            flipped[30] ^= 1;
            let mut longer = whole.clone();
            longer.extend([0; 600]);
            let cut = whole[..whole.len() - 1].to_vec();
            for bad in [flipped, longer, cut, whole[..28].to_vec(), Vec::new()] {
                write_file(disk, &path, &bad);
                let error = Rig::open_with(disk, dir, options).err().expect("refused");
                // A segment cut between two records is missed where the next one begins.
                assert!(
                    matches!(&error, StorageError::Corrupt { file, .. }
                    if *file >= path && file.starts_with(&log_dir)),
                    "{error}"
                );
            }
            write_file(disk, &path, &whole);
        }
        // A segment that is not there at all.
        let path = log_dir.join(&names[1]);
        let whole = read_file(disk, &path);
        disk.remove_file(&path).unwrap();
        let error = Rig::open_with(disk, dir, options).err().expect("refused");
        assert!(matches!(&error, StorageError::Corrupt { file, .. } if *file == path), "{error}");
        write_file(disk, &path, &whole);
        assert_eq!(Rig::open_with(disk, dir, options).unwrap().log(), entries());
    });
}

#[test]
fn a_segment_torn_while_it_was_created_begins_again() {
    each_disk(|disk, dir| {
        let mut rig = Rig::open(disk, dir);
        write_batches(&mut rig);
        drop(rig);
        let path = dir.join("log-00000001/00000002.log");
        let header = segment::header(1, 2);
        for torn in [&header[..0], &header[..1], &header[..27], &[0; 28]] {
            write_file(disk, &path, torn);
            unmark(disk, dir);
            let rig = Rig::open(disk, dir);
            assert_eq!(rig.log(), entries());
            assert_eq!(rig.opened.torn, Some((path.clone(), 0, torn.len() as u64)));
            drop(rig);
        }
        let mut rig = Rig::open(disk, dir);
        rig.run(vec![append(vec![put(2, 8, "d", "in the second segment")])]);
        let rig = rig.reopen();
        assert_eq!(rig.get("d"), value("in the second segment", at(2, 8)));
        assert_eq!(rig.last_segment(), path);
    });
}

#[test]
fn a_record_within_a_value_is_no_record() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new(0));
    let dir = Path::new("/d");
    let mut rig = Rig::open(&disk, dir);
    rig.run(vec![append(vec![noop(1, 1)])]);
    // Somebody stores a piece of this very log, sequence numbers and all.
    rig.run(vec![append(vec![put(1, 2, "a", "b"), put(1, 3, "c", "d")])]);
    let piece = read_file(&disk, &rig.last_segment());
    rig.run(vec![append(vec![put(1, 4, "log", "")])]);
    let path = rig.last_segment();
    let start = read_file(&disk, &path).len();
    let op = Op::Put { key: Bytes::from_static(b"log"), value: Bytes::from(piece.repeat(3)) };
    rig.run(vec![append(vec![Entry { at: at(1, 5), op }])]);
    let mut bytes = read_file(&disk, &path);
    bytes.pop();
    write_file(&disk, &path, &bytes);
    unmark(&disk, dir);
    let rig = rig.reopen();
    assert_eq!(rig.opened.torn.as_ref().unwrap().1, start as u64);
    assert_eq!(rig.log().len(), 4);
}

#[test]
fn tricks_with_endless_would_be_records_end_in_a_refusal() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new(0));
    let dir = Path::new("/d");
    let mut rig = Rig::open(&disk, dir);
    rig.run(vec![append(vec![noop(1, 1)])]);
    // A value full of beginnings of long records that could stand there.
    let mut trick = Vec::new();
    record::encode(
        &mut trick,
        &put(1, 4, "", &"x".repeat(1 << 20)),
        record::RecordPlace { segment: 1, offset: 0 },
        0,
    )
    .unwrap();
    trick.truncate(record::FIXED_BYTES);
    let mut value = trick.repeat(1 << 14);
    value.resize(4 << 20, 1);
    let op = Op::Put { key: Bytes::new(), value: Bytes::from(value) };
    rig.run(vec![append(vec![Entry { at: at(1, 2), op }])]);
    let path = rig.last_segment();
    let mut bytes = read_file(&disk, &path);
    bytes.pop();
    write_file(&disk, &path, &bytes);
    let error = rig.reopen_error();
    assert!(error.to_string().contains("cannot be told"), "{error}");
}

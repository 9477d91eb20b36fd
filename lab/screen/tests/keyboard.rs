//! Bytes → keys: what a person presses acts, and nothing else does.

use proptest::prelude::*;

use super::*;

const NOW: Duration = Duration::from_secs(100);

fn named(code: KeyCode) -> Input {
    Input::Key(Key::Named(code))
}

fn char(c: char) -> Input {
    Input::Key(Key::Char(c))
}

/// All in one read, and then nothing for a long time.
fn typed(bytes: &[u8]) -> Vec<Input> {
    in_reads([bytes])
}

fn in_reads<'a>(reads: impl IntoIterator<Item = &'a [u8]>) -> Vec<Input> {
    let mut keyboard = Keyboard::default();
    let mut told: Vec<Input> = reads.into_iter().flat_map(|read| keyboard.read(read, NOW)).collect();
    told.extend(keyboard.expire(NOW + 2 * SEQUENCE_WITHIN));
    assert_eq!(keyboard.deadline(), None, "it waits for nothing more");
    told
}

#[test]
fn keys_that_a_person_can_press() {
    for (bytes, key) in [
        ("K", char('K')),
        (" ", char(' ')),
        ("é", char('é')),
        ("\r", named(KeyCode::Enter)),
        ("\t", named(KeyCode::Tab)),
        ("\x03", Input::Key(Key::Ctrl('c'))),
        ("\x1a", Input::Key(Key::Ctrl('z'))),
        ("\x1b", named(KeyCode::Esc)),
        ("\x1b[27u", named(KeyCode::Esc)),
        ("\x1b[A", named(KeyCode::Up)),
        ("\x1bOB", named(KeyCode::Down)),
        ("\x1b[1;2C", named(KeyCode::Right)),
        ("\x1b[1;129D", named(KeyCode::Left)),
        ("\x1b[Z", named(KeyCode::BackTab)),
        ("\x1b[5~", named(KeyCode::PageUp)),
        ("\x1b[6~", named(KeyCode::PageDown)),
        ("\x1b[99;5u", Input::Key(Key::Ctrl('c'))),
        ("\x1b[120;2u", char('X')),
        ("\u{9b}A", named(KeyCode::Up)),
    ] {
        assert_eq!(typed(bytes.as_bytes()), [key], "{bytes:?}");
        let split: Vec<&[u8]> = bytes.as_bytes().chunks(1).collect();
        assert_eq!(in_reads(split), [key], "{bytes:?}, byte by byte");
    }
    assert_eq!(typed(b"\x1b\x1b"), [named(KeyCode::Esc); 2]);
    assert_eq!(typed(b"jjjjjjjjj"), [char('j'); 9], "a key that is held down");
    assert_eq!(typed(b"2x3"), [char('2'), char('x'), char('3')]);
}

/// Swallowed whole, wherever they are split, and the key after them is a key.
const NO_KEYS: [&str; 24] = [
    "\x1b]11;rgb:1e1e/1e1e/2e2e\x1b\\",
    "\x1b_Gi=31;OK\x1b\\",
    "\x1b]52;c;S2Fma2E=\x07",
    "\x1bP1+r544e=787465726d\x1b\\",
    "\x1bP>|XTerm(390)\x1b\\",
    "\x1bXKafka\x1b\\",
    "\x1b^Kafka\x1b\\",
    "\u{9d}0;Kafka\u{9c}",
    "\x1b]0;K\u{9c}K\x07",
    "\x1b[?64;1;2;6c",
    "\x1b[>41;390;0c",
    "\x1b[12;40R",
    "\x1b[?2026;2$y",
    "\x1b[<0;33;12M",
    "\x1b[<0;33;12m",
    "\x1b[M KK",
    "\x1b[32;33;12M",
    "\x1b[I",
    "\x1b[O",
    "\x1b[1;3A",
    "\x1b[97;1:3u",
    "\x1b[201~",
    "\x1b[[B",
    "\x1bK",
];

#[test]
fn answers_reports_and_alt_are_no_keys() {
    for bytes in NO_KEYS {
        let bytes = bytes.as_bytes();
        for at in 0..bytes.len() {
            let mut told = in_reads([&bytes[..at], &bytes[at..], b"K"]);
            told.retain(|input| !matches!(input, Input::Background(_)));
            assert_eq!(told, [char('K')], "{:?} at {at}", String::from_utf8_lossy(bytes));
        }
    }
}

#[test]
fn the_answer_about_the_background_is_understood() {
    for (answer, rgb) in [
        ("\x1b]11;rgb:ffff/ffff/ffff\x07", Rgb(255, 255, 255)),
        ("\x1b]11;rgb:ffff/ffff/ffff\x1b\\", Rgb(255, 255, 255)),
        ("\x1b]11;rgb:1e/80/ff\x07", Rgb(0x1e, 0x80, 0xff)),
        ("\x1b]11;rgb:f/0/8\x07", Rgb(255, 0, 136)),
        ("\x1b]11;rgba:0000/8080/ffff/ffff\x07", Rgb(0, 128, 255)),
    ] {
        assert_eq!(typed(answer.as_bytes()), [Input::Background(rgb)], "{answer:?}");
    }
    for answer in ["11;rgb:", "11;rgb:1/2", "11;rgb:+f/f/f", "11;rgb:fffff/0/0", "10;rgb:f/f/f", "11;white"] {
        assert_eq!(typed(format!("\x1b]{answer}\x07").as_bytes()), [], "{answer}");
    }
}

#[test]
fn a_paste_is_never_keys() {
    let once = [Input::Paste];
    assert_eq!(typed(b"Kafka"), once, "without brackets: no fingers do that");
    assert_eq!(typed(b"\x1b[200~K\x1b[201~"), once);
    assert_eq!(typed(b"\x1b[200~\x03\x1b[A\x1b]K\x1b[20\x1b[201~"), once, "whatever is in it");
    assert_eq!(typed(b"\x1b[200~a\x1b[201~K"), once, "and what comes with its end");
    let mut keyboard = Keyboard::default();
    assert_eq!(keyboard.read(b"Kafka is a", NOW), once);
    let soon = NOW + PASTE_QUIET / 2;
    assert_eq!(keyboard.read(b"K", soon), [], "the end of it, in a read of its own");
    assert_eq!(keyboard.read(b"\x1b[A", soon + PASTE_QUIET / 2), [], "each prolongs it");
    assert_eq!(keyboard.read(b"K", soon + 2 * PASTE_QUIET), [char('K')]);
    assert_eq!(typed(b"Kafk").len(), 4, "so few may be keys");
}

#[test]
fn nothing_is_swallowed_for_ever() {
    for begun in ["\x1b]11;rgb", "\x1b_G", "\x1bP", "\x1b[", "\x1bO", "\x1b[M", "\x1b]K\x1b", "\x1b[200~K"] {
        let mut keyboard = Keyboard::default();
        assert_eq!(keyboard.read(begun.as_bytes(), NOW), [], "{begun:?}");
        let deadline = keyboard.deadline().expect("a bound");
        assert!(deadline <= NOW + SEQUENCE_WITHIN, "{begun:?}");
        assert_eq!(keyboard.expire(deadline - Duration::from_millis(1)), None, "{begun:?}: not sooner");
        assert_eq!(keyboard.expire(deadline), None, "{begun:?}");
        assert_eq!(keyboard.read(b"K", deadline), [char('K')], "{begun:?}: then keys are keys");
    }
    // And what never pauses has a bound in bytes.
    let mut keyboard = Keyboard::default();
    keyboard.read(b"\x1b]", NOW);
    keyboard.read(&vec![b'x'; SEQUENCE_BYTES_MAX], NOW);
    assert_eq!(keyboard.read(b"K", NOW), [char('K')]);
    keyboard.read(b"\x1b[200~", NOW);
    for _ in 0..PASTE_BYTES_MAX / 4096 {
        keyboard.read(&[b'x'; 4096], NOW);
    }
    assert_eq!(keyboard.read(b"K", NOW), [char('K')]);
}

/// A connection that stalls after `ESC`: the key Esc, and the rest of what it began is no key at all.
#[test]
fn what_comes_late_after_escape_is_no_key_either() {
    for (rest, then) in
        [("OP", None), ("[F", Some(KeyCode::End)), ("[15~", None), ("]11;rgb:0/0/0\x07", None)]
    {
        let mut keyboard = Keyboard::default();
        assert_eq!(keyboard.read(b"\x1b", NOW), []);
        let late = NOW + ESCAPE_WITHIN;
        assert_eq!(keyboard.expire(late), Some(named(KeyCode::Esc)));
        let mut told = keyboard.read(rest.as_bytes(), late + LATE_WITHIN / 2);
        told.retain(|input| !matches!(input, Input::Background(_)));
        assert_eq!(told, then.map(named).into_iter().collect::<Vec<_>>(), "{rest:?}");
        assert_eq!(keyboard.read(b"K", late + LATE_WITHIN / 2), [char('K')], "then keys are keys");
    }
    let mut keyboard = Keyboard::default();
    keyboard.read(b"\x1b", NOW);
    keyboard.expire(NOW + ESCAPE_WITHIN);
    assert_eq!(keyboard.read(b"K", NOW + ESCAPE_WITHIN), [char('K')], "after Esc, at once");
    assert_eq!(keyboard.read(b"[", NOW + ESCAPE_WITHIN), [char('[')], "only the first byte may be late");
}

#[test]
fn a_key_does_not_keep_a_sequence_alive() {
    let mut keyboard = Keyboard::default();
    keyboard.read(b"\x1b]", NOW);
    keyboard.read(b"K", NOW + SEQUENCE_WITHIN / 2);
    assert_eq!(keyboard.deadline(), Some(NOW + SEQUENCE_WITHIN), "Alt-] and a key, by hand");
}

/// What the bytes mean, told otherwise: the whole text at once, by what is left after everything else was cut out.
fn keys_of(mut bytes: &[u8]) -> Vec<u8> {
    let mut keys = Vec::new();
    while let Some((&first, rest)) = bytes.split_first() {
        bytes = match first {
            0x1b => after_escape(rest, &mut keys),
            0x20..=0x7e => {
                keys.push(first);
                rest
            }
            _ => rest,
        };
    }
    keys
}

fn after_escape<'a>(rest: &'a [u8], keys: &mut Vec<u8>) -> &'a [u8] {
    let from = |at: Option<usize>| at.map_or(&rest[rest.len()..], |at| &rest[at..]);
    match rest.first() {
        Some(0x1b) => rest,
        Some(b']' | b'P' | b'X' | b'^' | b'_') => {
            let end = rest.iter().position(|byte| matches!(byte, 0x07 | 0x18 | 0x1a | 0x1b));
            match end.map(|end| &rest[end..]) {
                Some([0x1b, b'\\', rest @ ..] | [0x07 | 0x18 | 0x1a, rest @ ..]) => rest,
                Some(rest) => rest,
                None => from(None),
            }
        }
        Some(b'[') => {
            let is_end = |byte: &u8| matches!(byte, 0x18 | 0x1a | 0x1b | 0x40..=0x7e | 0x80..);
            let Some(end) = rest.iter().skip(1).position(is_end).map(|end| end + 1) else {
                return from(None);
            };
            // Other controls within a sequence are none of it.
            let numbers: Vec<u8> =
                rest[1..end].iter().copied().filter(|byte| (0x20..=0x3f).contains(byte)).collect();
            let after = |count: usize| from((rest.len() > end + count).then_some(end + count));
            match (&numbers[..], rest[end]) {
                (_, 0x1b) => &rest[end..],
                ([], b'[') => after(2),
                ([], b'M') => after(4),
                // What follows the end of a paste at once belongs to it.
                (b"200", b'~') => from(None),
                (_, last) => {
                    if let (b'u', Some(Key::Char(c))) = (last, csi_key(&numbers, last)) {
                        keys.extend(u8::try_from(c).ok());
                    }
                    after(1)
                }
            }
        }
        Some(b'O') => from((rest.len() > 2).then_some(2)),
        Some(_) => &rest[1..],
        None => rest,
    }
}

/// Bytes of seven bits, rich in what means something to a terminal.
fn terminal_bytes() -> impl Strategy<Value = Vec<u8>> {
    let special: Vec<Vec<u8>> = [
        "\x1b",
        "[",
        "]",
        "O",
        "\\",
        "\x07",
        "\x18",
        ";",
        "~",
        "M",
        "200~",
        "\x1b[200~",
        "\x1b[201~",
        "\x1b]",
        "\x1b_",
        "\x1bP",
        "\x1b^",
        "\x1bX",
        "\x1b\\",
        "K",
        "1",
        "u",
        ":",
        "A",
        "\r",
        "\x03",
    ]
    .iter()
    .map(|text| text.as_bytes().to_vec())
    .collect();
    let byte = prop_oneof![4 => prop::sample::select(special), 1 => (0u8..0x80).prop_map(|byte| vec![byte])];
    prop::collection::vec(byte, 0..40).prop_map(|bytes| bytes.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    /// No action but from a key that a person could press: whatever comes, and however it is split.
    #[test]
    fn only_what_is_outside_of_every_sequence_is_a_key(
        bytes in terminal_bytes(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        at.extend([0, bytes.len()]);
        at.sort_unstable();
        let told = in_reads(at.windows(2).map(|ends| &bytes[ends[0]..ends[1]]));
        let acted: Vec<u8> = told.iter().filter_map(|input| match input {
            Input::Key(Key::Char(c)) => u8::try_from(*c).ok(),
            _ => None,
        }).collect();
        // Byte by byte nothing is a burst: exactly the keys.
        let single: Vec<u8> = in_reads(bytes.chunks(1)).iter().filter_map(|input| match input {
            Input::Key(Key::Char(c)) => u8::try_from(*c).ok(),
            _ => None,
        }).collect();
        prop_assert_eq!(&single, &keys_of(&bytes));
        // In longer reads what is a burst is taken out, and nothing comes in.
        let mut rest = single.iter();
        prop_assert!(acted.iter().all(|key| rest.any(|other| other == key)), "{:?} of {:?}", acted, single);
        if !told.contains(&Input::Paste) {
            prop_assert_eq!(acted, single);
        }
    }

    /// Any bytes at all: no panic, and never more keys than bytes; what is over is over.
    #[test]
    fn any_bytes_at_any_time(reads in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..24), 0u64..1500), 0..12)) {
        let mut keyboard = Keyboard::default();
        let mut now = NOW;
        for (bytes, after) in reads {
            now += Duration::from_millis(after);
            if let Some(input) = keyboard.expire(now) {
                prop_assert_eq!(input, named(KeyCode::Esc));
            }
            let told = keyboard.read(&bytes, now);
            prop_assert!(told.len() <= bytes.len() + 1);
            if let Some(deadline) = keyboard.deadline() {
                prop_assert!(deadline <= now + SEQUENCE_WITHIN);
            }
        }
        keyboard.expire(now + SEQUENCE_WITHIN);
        prop_assert_eq!(keyboard.read(b"K", now + 2 * SEQUENCE_WITHIN), [char('K')]);
    }

    /// A string of any kind with anything in it, split anywhere, is no key.
    #[test]
    fn a_string_is_no_key(kind in prop::sample::select(vec![b']', b'P', b'_', b'^', b'X']),
                          text in prop::collection::vec(0x20u8..0x7f, 0..200),
                          end in prop::sample::select(vec![&b"\x07"[..], b"\x1b\\"]),
                          cut in any::<prop::sample::Index>()) {
        let bytes = [&[ESC, kind], &text[..], end].concat();
        let at = cut.index(bytes.len());
        let told = in_reads([&bytes[..at], &bytes[at..]]);
        prop_assert!(told.iter().all(|input| matches!(input, Input::Background(_))), "{:?}", told);
    }

    /// So is a bracketed paste.
    #[test]
    fn a_bracketed_paste_is_no_key(text in ".{0,80}", cut in any::<prop::sample::Index>()) {
        let bytes = [b"\x1b[200~", text.as_bytes(), PASTE_END].concat();
        let at = cut.index(bytes.len());
        prop_assert_eq!(in_reads([&bytes[..at], &bytes[at..]]), [Input::Paste]);
    }
}

//! EDN as people have it: every form as a value, and anything at all in what is skipped.

use proptest::prelude::*;

use super::super::import::*;
use super::super::*;
use crate::judge::offline::{KeyAct, KeyHistory, check_key};

fn imported(text: &str) -> Result<Vec<KeyHistory>, ImportError> {
    let Imported::Keys(keys) = import(text, Format::Edn, ImportOptions::default())? else { unreachable!() };
    Ok(keys)
}

/// What is read of a value.
fn value(written: &str) -> Result<Option<Value>, ImportError> {
    let text = format!(
        "{{:process 0, :type :invoke, :f :read, :value nil}}\n{{:process 0, :type :ok, :f :read, :value {written}\n}}"
    );
    let keys = imported(&text)?;
    let [op] = keys[0].ops() else { panic!("{keys:?}") };
    match &op.act {
        KeyAct::Read(value) => Ok(value.clone()),
        other => panic!("{other}"),
    }
}

fn printed(written: &str) -> String {
    value(written)
        .unwrap_or_else(|error| panic!("{error}"))
        .map_or("nil".to_owned(), |value| value.to_string())
}

#[test]
fn every_value_has_one_way_in_which_it_is_printed() {
    let cases = [
        ("nil", "nil"),
        ("true", "true"),
        ("7", "7"),
        ("+7", "7"),
        ("-0", "0"),
        ("7N", "7"),
        ("0x1F", "31"),
        ("017", "15"),
        ("2r101", "5"),
        ("9223372036854775807", "9223372036854775807"),
        ("9223372036854775808", "9223372036854775808"),
        (
            "-123456789012345678901234567890123456789012345678901N",
            "-123456789012345678901234567890123456789012345678901",
        ),
        ("10N", "10"),
        ("6/4", "3/2"),
        ("4/2", "2"),
        ("1.0", "1.0"),
        ("1e0", "1.0"),
        ("-0.0", "0.0"),
        ("1.5e300", "1.5e300"),
        ("1e999", "##Inf"),
        ("1.2M", "1.2M"),
        ("1.200M", "1.2M"),
        ("-120e-2M", "-1.2M"),
        ("0.05M", "0.05M"),
        ("300M", "300M"),
        ("0.000M", "0M"),
        ("1e40M", "1E40M"),
        ("##NaN", "##NaN"),
        ("##-Inf", "##-Inf"),
        (r#""\u00e9""#, "\"é\""),
        (r#""a\n\"\\\101\ud83d\ude00""#, "\"a\\n\\\"\\\\A😀\""),
        (r#""\ud83d""#, r#""\ud83d""#),
        (r"\a", r"\a"),
        (r"\u0041", r"\A"),
        (r"\o101", r"\A"),
        (r"\newline", r"\newline"),
        (r"\ ", r"\space"),
        (r"\]", r"\]"),
        (r#"#"a\d\"b""#, r#"#"a\d\"b""#),
        (":a/b", ":a/b"),
        ("a.b/c'", "a.b/c'"),
        ("'x", "'x"),
        ("(1 (2) 3)", "[1 [2] 3]"),
        ("[1, 2 ; two\n 3]", "[1 2 3]"),
        ("[1 #_2 #_#_3 4 ^{:m 1} [] 5]", "[1 [] 5]"),
        ("#{3 1 2}", "#{1 2 3}"),
        ("#{1 1}", "#{1 1}"),
        ("{:b 2, :a 1}", "{:a 1, :b 2}"),
        ("{:a 1, :a 2}", "{:a 1, :a 2}"),
        ("#:n{:a 1, :m/b 2, :_/c 3, x 4}", "{:c 3, :m/b 2, :n/a 1, n/x 4}"),
        ("#inst \"2020\"", "#inst \"2020\""),
        ("#user.Rec{:a #inst\"2020\"}", "#user.Rec {:a #inst \"2020\"}"),
        ("#jepsen.independent.Tuple[1 2]", "[1 2]"),
        ("#object[java.lang.Object 0x65ae \"x\"]", "#object [java.lang.Object 26030 \"x\"]"),
        ("#'user/x", "#'user/x"),
    ];
    for (written, expected) in cases {
        assert_eq!(printed(written), expected, "{written}");
        assert_eq!(printed(expected), expected, "printed again");
    }
    let mut different: Vec<&str> = cases.iter().map(|(_, printed)| *printed).collect();
    different.sort_unstable();
    different.dedup();
    for (nth, one) in different.iter().enumerate() {
        assert!(different[..nth].iter().all(|other| value(one) != value(other)), "{one}");
    }
}

#[test]
fn what_is_no_value_is_refused_with_its_line() {
    let cases = [
        ("12abc", "\"12abc\"; expected a number of EDN"),
        ("1/0", "expected a number of EDN"),
        ("08", "expected a number of EDN"),
        ("1.2.3", "expected a number of EDN"),
        (":", "expected a keyword"),
        (r#""\q""#, r#""\\q" in a string; expected an escape"#),
        (r#""\u12""#, "in a string; expected an escape"),
        (r"\nonsense", "\\nonsense; expected a character"),
        ("#<Object x>", "\"#<\"; expected a form that can be read again"),
        ("[1 2)", "')'; expected a form, or ']'"),
        ("{:a}", "a map with a key that has no value; expected its value"),
        ("[#_]", "']'; expected a form"),
    ];
    for (written, expected) in cases {
        let error = value(written).expect_err(written).to_string();
        assert!(error.starts_with("line 2: ") && error.contains(expected), "{written}: {error}");
    }
    let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
    assert!(value(&deep).unwrap_err().to_string().contains("at most 200 within one another"));
    assert!(value(&"#a ".repeat(500)).unwrap_err().to_string().contains("at most 200 within one another"));
    assert!(value(&"#_".repeat(500)).unwrap_err().to_string().contains("at most 200 within one another"));
}

#[test]
fn a_discard_takes_exactly_the_next_form() {
    let write = "{:process 0, :type :invoke, :f :write, :value 1}\n{:process 0, :type :ok, :f :write, :value 1}\n\
                 {:process 2, :type :invoke, :f :read, :value nil}\n";
    let read = "{:process 2, :type :ok, :f :read, :value 7}";
    for (discard, ops) in [
        ("#_word ", 2),
        ("#_ word ", 2),
        ("#_\n;comment }\nword ", 2),
        ("#_#_ a b ", 2),
        ("#_ #_ a b ", 2),
        ("#_\"}\" ", 2),
        ("#_\\{ ", 2),
        ("#_#inst \"x\" ", 2),
        ("#_[{] ", 0),
        ("#_ ", 1),
        ("#_#_ a ", 1),
        ("#_^:m ", 1),
        ("#_#_#_ a b ", 1),
    ] {
        let text = format!("{write}{discard}{read}");
        match imported(&text) {
            Ok(keys) => assert_eq!(keys[0].ops().len(), ops, "{text}"),
            Err(error) => assert_eq!((ops, error.line), (0, 4), "{text}"),
        }
    }
    assert!(
        imported(&format!("{write}{read} #_"))
            .unwrap_err()
            .to_string()
            .contains("the text ends inside \"#_\"")
    );
}

/// Lines that say nothing of clients, with what Clojure can print.
const SKIPPED: &str = r##"{:process :nemesis, :type :info, :f :start, :value {:a [1 "]" \]], :b #{1 1}, :c {:x 1, :x 2}}}
{:type :info, :f :kill, :value [10N 1.2M ##NaN "\u00e9 \q" \} #"[" 08 12abc #t #u [a] 123456789012345678901234567890], :process :nemesis}
{:value #object[x "}"], :process :nemesis-2, :error #error {:cause "}"}, :type :whatever, :f nil, :time :never}
#jepsen.history.Op{:index 3, :process nemesis, :type nil, :value #_{} (1 (2 (3)))}
#_ {:process "no" #_#_ a b}
"##;

#[test]
fn lines_of_no_client_and_fields_that_are_not_asked_for_may_have_anything_in_them() {
    let more = ":error [:timeout #{1 1} \"\\q\" 08 #object[x \"}\"]], :node n1, \"k\" 1, [1 2] 3";
    let text = format!(
        "{SKIPPED}{{:process 0, {more}, :type :invoke, :f :write, :value 1}}\n{SKIPPED}{{:process 0, :type :ok, :f :write, {more}, :value 1}}{SKIPPED}"
    );
    for text in [text.clone(), format!("[{text}]"), format!("({text})")] {
        let keys = imported(&text).unwrap_or_else(|error| panic!("{error}"));
        let [op] = keys[0].ops() else { panic!("{keys:?}") };
        assert_eq!((op.began.i, op.ended.map(|ended| ended.i)), (6, Some(12)));
    }
    assert!(
        imported("{:process 0, :type :ok, :value 1, :value 2, :f :read}")
            .unwrap_err()
            .found
            .contains("two :value")
    );
    assert!(
        imported("{:process 0, :type :ok, :value}").unwrap_err().found.contains("a key that has no value")
    );
}

fn verdict(text: &str) -> Result<Linearizable, ImportError> {
    let keys = imported(text)?;
    Ok(keys.iter().map(|key| check_key(key, &mut |_| true).linearizable).max().expect("there is a key"))
}

#[test]
fn a_version_beside_the_value_is_no_part_of_it() {
    for (open, close) in [("", ""), ("[k ", "]")] {
        let line = |kind: &str, f: &str, value: &str| {
            format!("{{:process 0, :type :{kind}, :f :{f}, :value {open}{value}{close}}}\n")
        };
        let history = |seen: &str| {
            line("invoke", "write", "[nil 3]")
                + &line("ok", "write", "[17 3]")
                + &line("invoke", "cas", "[nil [3 4]]")
                + &line("ok", "cas", "[18 [3 4]]")
                + &line("invoke", "read", "[nil nil]")
                + &line("ok", "read", seen)
        };
        assert_eq!(verdict(&history("[18 4]")), Ok(Linearizable::Yes));
        assert_eq!(verdict(&history("[18 3]")), Ok(Linearizable::No));
        assert!(verdict(&history("4")).unwrap_err().expected.contains("a version and the value"));
        let other = history("[18 4]").replace("[17 3]", "[17 5]");
        assert!(verdict(&other).unwrap_err().found.contains("completes :write of another value"));
        let plain = history("[18 4]") + &line("invoke", "write", "5");
        assert_eq!(
            verdict(&plain).unwrap_err().to_string(),
            "line 7: an operation without a version; expected with a version beside its value, as on line 1"
        );
    }
}

#[test]
fn what_begins_like_edn_is_edn_and_what_a_logger_begins_with_is_none() {
    let map = "{:process 0, :type :invoke, :f :read, :value \"jepsen.util - 0 :invoke :read nil\"}";
    for text in [
        map.to_owned(),
        format!("[{map}]"),
        format!("[\n{map}\n]"),
        format!("#_ x {map}"),
        format!("(#t {map})"),
        "[]".to_owned(),
    ] {
        assert_eq!(Format::detect(&text), Some(Format::Edn), "{text}");
        assert!(imported(&text).is_ok());
    }
    for prefix in [
        "",
        "\t",
        "INFO  jepsen.util - ",
        "[main] INFO jepsen.generator.interpreter - ",
        "2024 INFO [jepsen worker 3] some.logger: ",
        "(x) my logger ",
    ] {
        for between in [" ", "\t", "  \t "] {
            let text = [
                "0 :invoke :write 1",
                ":nemesis :info :start {:a \"0 :ok :read 7\"}",
                "0 :ok :write 1",
                "1 :invoke :read nil",
                "1 :ok :read 2",
            ]
            .map(|line| format!("{prefix}{}\n", line.replace(' ', between)))
            .concat();
            assert_eq!(Format::detect(&text), Some(Format::JepsenLog), "{text}");
            let Imported::Keys(keys) = import(&text, Format::JepsenLog, ImportOptions::default()).unwrap()
            else {
                panic!()
            };
            assert_eq!(keys[0].ops().len(), 2, "{text}");
            assert_eq!(check_key(&keys[0], &mut |_| true).linearizable, Linearizable::No, "{text}");
        }
    }
    for other in
        ["took 3 :ms", "jepsen worker 3 is done", "3", "", ":nemesis :info :start 3", "Worker :x 3 :ok"]
    {
        assert_eq!(Format::detect(other), None, "{other}");
    }
}

/// A form as it may be written.
fn form() -> impl Strategy<Value = String> {
    let atom = prop_oneof![
        Just("nil".to_owned()),
        any::<bool>().prop_map(|one| one.to_string()),
        any::<i64>().prop_map(|one| one.to_string()),
        (any::<i64>(), "[0-9]{0,30}").prop_map(|(one, more)| format!("{one}{more}N")),
        any::<f64>().prop_filter("finite", |one| one.is_finite()).prop_map(|one| format!("{one:?}")),
        (any::<i32>(), 0..60_i32).prop_map(|(one, exponent)| format!("{one}e{exponent}M")),
        (any::<i32>(), 1..99_u8).prop_map(|(one, other)| format!("{one}/{other}")),
        "[a-z]{1,4}(/[a-z]{1,3})?",
        ":[a-z]{1,4}(/[a-z]{1,3})?",
        "\\PC{0,6}".prop_map(|text| format!("{text:?}")
            .replace("\\'", "'")
            .replace("\\u{", "(")
            .replace("\\0", "0")),
        Just("\"\\u00e9\\ud83d\\ude00\\ud83d\"".to_owned()),
        "\\\\[a-z\\[\\]{}\"]".prop_map(|one| one),
        Just("\\newline".to_owned()),
        Just("#\"[a\\\"\\d\"".to_owned()),
        Just("##NaN".to_owned()),
    ];
    let blank = prop::sample::select(vec![
        " ",
        ", ",
        "\n",
        " ; x ]\n",
        " #_x ",
        " #_ #_ {:a ]} ".replace(']', "1").leak(),
        " ^:m ",
    ]);
    atom.prop_recursive(4, 24, 4, move |inner| {
        let items = prop::collection::vec((inner.clone(), blank.clone()), 0..4);
        let joined = |items: Vec<(String, &str)>| {
            items.into_iter().map(|(item, blank)| blank.to_owned() + &item + " ").collect::<String>()
        };
        prop_oneof![
            items.clone().prop_map(move |items| format!("[{}]", joined(items))),
            items.clone().prop_map(move |items| format!("({})", joined(items))),
            items.clone().prop_map(move |items| format!("#{{{}}}", joined(items))),
            prop::collection::vec((inner.clone(), inner.clone()), 0..3).prop_map(|entries| {
                format!(
                    "{{{}}}",
                    entries.into_iter().map(|(key, value)| format!("{key} {value} ")).collect::<String>()
                )
            }),
            inner.prop_map(|one| format!("#my/tag {one}")),
        ]
    })
}

proptest! {
    /// What is read of any value is printed so that it is read as the same again, and so are lists of them.
    #[test]
    fn values_are_read_back_as_they_were(one in form(), other in form()) {
        let (first, second) = (printed(&one), printed(&other));
        prop_assert_eq!(value(&first), value(&one));
        prop_assert!(!first.contains('\n'));
        prop_assert_eq!(value(&one) == value(&other), first == second);
        prop_assert_eq!(printed(&format!("[{one} {other} 1]")), format!("[{first} {second} 1]"));
        // Where it is skipped nothing else is.
        let text = format!("{{:process :n, :value {one} }}\n#_ {other} {{:process 1, :type :invoke, :f :write, :value {one} }}");
        let keys = imported(&text);
        prop_assert_eq!(keys.map(|keys| keys[0].ops().len()), Ok(1), "{}", text);
    }

    /// The pieces in which a text comes change nothing.
    #[test]
    fn a_text_may_come_in_any_pieces(
        which in 0_usize..4,
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        damage in prop::option::of((any::<prop::sample::Index>(), "[\\[\\](){}\"\\\\;#:_ \n0a]{0,2}")),
    ) {
        let read = "{:process 0, :type :invoke, :f :write, :value \"é\"}; a\n#_{:a 1} {:process 0, :type :ok, :f :write, :value \"é\"}\r\n";
        let log = "x - 0 :invoke :write :é\r\n\nx - 0 :ok :write :é";
        let ours = include_str!("../../../tests/histories/calm.jsonl");
        let (text, format) = [
            (read.repeat(2), Format::Edn),
            (format!("\u{feff}[{read}{SKIPPED}]"), Format::Edn),
            (log.to_owned(), Format::JepsenLog),
            (ours.to_owned(), Format::Kvlab),
        ][which].clone();
        let at = |text: &str, index: prop::sample::Index| {
            let mut at = index.index(text.len() + 1);
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            at
        };
        let text = match damage {
            None => text,
            Some((index, put)) => {
                let at = at(&text, index);
                format!("{}{put}{}", &text[..at], &text[at..])
            }
        };
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| at(&text, cut)).collect();
        cuts.extend([0, text.len()]);
        cuts.sort_unstable();
        let mut importer = Importer::new(format, ImportOptions::default());
        let mut pushed = Ok(());
        for cut in cuts.windows(2) {
            pushed = pushed.and_then(|()| importer.push(&text[cut[0]..cut[1]]));
        }
        let read = pushed.and_then(|()| importer.finish());
        prop_assert_eq!(read, import(&text, format, ImportOptions::default()));
    }
}

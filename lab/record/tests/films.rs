//! Films: what a viewer sees is what was drawn.

use std::collections::BTreeMap;

use avt::{Color as Seen, Terminal};
use ratatui::style::Color;
use serde_json::Value;

use super::shown::Shown;
use super::*;
use crate::record::about::About;
use crate::record::cast::{Cast, Clock};
use crate::record::film::Sink;
use crate::record::gif::Gif;
use crate::record::page::PlayerPage;
use crate::record::pixels::Painter;
use crate::record::png::write_png;
use crate::record::strip::{Frames, Strip};

/// A film of the split brain as a sink writes it, and its cues.
fn filmed<'a>(
    about: &'a About,
    begin: impl FnOnce(&'a mut Vec<u8>) -> Box<dyn Sink + 'a>,
    out: &'a mut Vec<u8>,
) -> Vec<Cue> {
    let events = split_brain(Player::Scenario);
    let Recording { size, speed, .. } = about.recording;
    let cues = film(Shooting { size, speed, ..shooting(0, moment::HEALED) }, &events);
    let mut sink = begin(out);
    for cue in &cues {
        sink.take(cue).expect("written");
    }
    cues
}

pub(super) fn about(size: Size) -> About {
    let end = view_at(&split_brain(Player::Scenario), Duration::from_micros(moment::HEALED));
    About::new(Recording { size, ..Recording::default() }, &end, Duration::from_micros(moment::HEALED))
}

fn rgb(colour: Color) -> Option<Seen> {
    match colour {
        Color::Reset => None,
        Color::Rgb(r, g, b) => Some(Seen::rgb(r, g, b)),
        other => panic!("recordings have 24 bits: {other:?}"),
    }
}

/// The terminal shows this frame, cell by cell, with every colour and attribute.
fn assert_shows(terminal: &Terminal, frame: &Buffer) {
    for y in 0..frame.area.height {
        let screen = terminal.screen();
        let line = screen.line(usize::from(y)).expect("a row");
        for x in 0..frame.area.width {
            let cell = &frame[(x, y)];
            let seen = &line.cells()[usize::from(x)];
            let pen = seen.pen();
            let has = |m: Modifier| cell.modifier.contains(m);
            assert_eq!(seen.char().to_string(), cell.symbol(), "at {x},{y}");
            assert_eq!((pen.foreground(), pen.background()), (rgb(cell.fg), rgb(cell.bg)), "at {x},{y}");
            let attributes =
                [pen.is_bold(), pen.is_faint(), pen.is_italic(), pen.is_underline(), pen.is_inverse()];
            let drawn =
                [Modifier::BOLD, Modifier::DIM, Modifier::ITALIC, Modifier::UNDERLINED, Modifier::REVERSED];
            assert_eq!(attributes, drawn.map(has), "at {x},{y}");
        }
    }
}

/// Decodes a cast with another's emulator and compares every frame; gives back the times of its events.
fn decoded(cast: &str, cues: &[Cue], version: CastVersion) -> Vec<f64> {
    let mut lines = cast.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let header = lines.next().expect("a header");
    let size = match version {
        CastVersion::Two => (&header["width"], &header["height"]),
        CastVersion::Three => (&header["term"]["cols"], &header["term"]["rows"]),
    };
    let number = |value: &Value| value.as_u64().expect("a size") as usize;
    let mut terminal = Terminal::new(number(size.0), number(size.1)).expect("a size");
    let mut times = Vec::new();
    for cue in cues {
        let event = lines.next().expect("an event for each cue");
        times.push(event[0].as_f64().expect("a time"));
        let data = event[2].as_str().expect("text");
        match (&cue.what, event[1].as_str().expect("a code")) {
            (What::Frame(frame), "o") => {
                terminal.feed(data);
                assert_shows(&terminal, frame);
            }
            (What::Mark(text), "m") => assert_eq!(text, data),
            (What::End, "x") => assert_eq!((data, version), ("0", CastVersion::Three)),
            (What::End, "o") => assert_eq!((data, version), ("", CastVersion::Two)),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(lines.next(), None);
    times
}

#[test]
fn an_independent_terminal_shows_what_was_drawn() {
    for size in [Size::new(120, 36), Size::new(80, 24)] {
        let about = about(size);
        for version in [CastVersion::Three, CastVersion::Two] {
            let mut out = Vec::new();
            let cues =
                filmed(&about, |out| Box::new(Cast::begin(out, &about, version).expect("begun")), &mut out);
            let cast = String::from_utf8(out).expect("UTF-8");
            let times = decoded(&cast, &cues, version);
            let end = cues.last().expect("an end").at.as_secs_f64();
            let said = if version == CastVersion::Three {
                times.iter().sum()
            } else {
                *times.last().expect("times")
            };
            assert!((said - end).abs() < 0.001, "{said} {end}");
            println!("{size} {version:?}: {} bytes for {end} s", cast.len());
        }
    }
}

proptest! {
    /// Intervals that are printed in milliseconds never drift: their sum is within a millisecond of the time.
    #[test]
    fn intervals_do_not_drift(gaps in prop::collection::vec(0u64..3_000_000, 1..200)) {
        let (mut clock, mut at, mut sum) = (Clock::default(), Duration::ZERO, 0.0);
        for gap in gaps {
            at += Duration::from_micros(gap);
            let (time, interval) = clock.go_to(at);
            sum += interval.parse::<f64>().expect("a number");
            prop_assert!((sum - at.as_secs_f64()).abs() < 0.000_501, "{sum} {at:?}");
            prop_assert!((time.parse::<f64>().expect("a number") - at.as_secs_f64()).abs() < 0.000_501);
        }
    }
}

/// At every moment a window shows the state that its steps have come to. Put together, that is the frame.
#[test]
fn an_animated_svg_shows_what_was_drawn() {
    let about = about(Size::new(120, 36));
    let mut out = Vec::new();
    let cues = filmed(&about, |out| Box::new(Strip::begin(out, &about)), &mut out);
    let svg = String::from_utf8(out).expect("UTF-8");
    println!("{} bytes for {:?}", svg.len(), cues.last().expect("an end").at);
    let document = Document::parse(&svg).unwrap_or_else(|e| panic!("{e}"));
    for node in document.descendants().filter(Node::is_element) {
        assert!(
            ["svg", "title", "style", "rect", "g", "path", "text", "use", "defs"]
                .contains(&node.tag_name().name()),
            "{node:?}"
        );
        assert!(
            node.attribute("href").is_none_or(|href| href.starts_with('#')),
            "nothing from outside: {node:?}"
        );
        assert!(!node.attributes().any(|a| a.name().starts_with("on")));
    }
    let shown = Shown::read(&document);
    let frames: Vec<_> = cues
        .iter()
        .filter_map(|cue| match &cue.what {
            What::Frame(frame) => Some((cue.at, &**frame)),
            _ => None,
        })
        .collect();
    // Five frames a second are shown, each at most so much late.
    for tick in 0..(cues.last().expect("an end").at.as_millis() as u64 / 200) {
        let at = Duration::from_millis(tick * 200);
        let frame =
            frames.iter().take_while(|(t, _)| *t <= at + Duration::from_micros(1)).last().expect("a frame").1;
        assert_eq!(shown.text_at(at.as_secs_f64() + 0.01), to_text(frame), "{at:?}");
    }
}

/// What is not drawn by a GIF's frame shows through from those before: together they are the frames that were drawn.
#[test]
fn a_gif_has_the_frames_and_delays_of_the_film() {
    let mut about = about(Size::new(80, 24));
    about.recording.speed = 4.0;
    let mut out = Vec::new();
    let cues = filmed(&about, |out| Box::new(Gif::begin(out, &about).expect("begun")), &mut out);
    println!("{} bytes", out.len());
    let mut options = ::gif::DecodeOptions::new();
    options.set_color_output(::gif::ColorOutput::RGBA);
    let mut decoder = options.read_info(&out[..]).expect("a GIF");
    let (width, height) = (usize::from(decoder.width()), usize::from(decoder.height()));
    assert_eq!((width, height), (80 * 9, 24 * 18));
    let mut painter = Painter::new(Background::Dark).expect("fonts");
    let mut canvas = vec![0u8; width * height * 3];
    let times: Vec<_> =
        cues.iter().filter(|cue| !matches!(cue.what, What::Mark(_))).map(|cue| cue.at).collect();
    let mut nth = 0;
    let mut late_by = 0u64;
    for cue in &cues {
        let What::Frame(drawn) = &cue.what else { continue };
        let frame = decoder.read_next_frame().expect("read").expect("a frame for each");
        let (at, until) = (times[nth], times[nth + 1]);
        nth += 1;
        let last = nth + 1 == times.len();
        let stays = until - at + if last { Duration::from_secs(3) } else { Duration::ZERO };
        let centis = u64::from(frame.delay);
        late_by = late_by.max(centis.abs_diff(stays.as_millis() as u64 / 10));
        assert_eq!(frame.dispose, ::gif::DisposalMethod::Keep);
        for (i, pixel) in frame.buffer.chunks_exact(4).enumerate().filter(|(_, pixel)| pixel[3] > 0) {
            let (x, y) = (i % usize::from(frame.width), i / usize::from(frame.width));
            let place = ((y + usize::from(frame.top)) * width + x + usize::from(frame.left)) * 3;
            canvas[place..place + 3].copy_from_slice(&pixel[..3]);
        }
        let whole = painter.paint(drawn, drawn.area, |_, _| true);
        let wanted: Vec<u8> = whole
            .pixels
            .iter()
            .flat_map(|&index| whole.palette[usize::from(index) * 3..][..3].to_vec())
            .collect();
        assert!(canvas == wanted, "the frame at {at:?} is another");
    }
    assert!(decoder.read_next_frame().expect("read").is_none(), "no more");
    assert!(late_by <= 1, "a delay is off by {late_by} hundredths");
}

/// Every sign of the screen has pixels of its own, so that no letter is missing and no two look the same.
#[test]
fn signs_have_pixels_of_their_own() {
    let mut painter = Painter::new(Background::Dark).expect("fonts");
    let letters = (' '..='~').chain("·→↑↓…✓✗◆●○▸░█╳┊─│┌┐└┘┏━┃×≤".chars());
    let mut seen = BTreeMap::new();
    for c in letters {
        let mut buf = Buffer::empty(Rect::new(0, 0, 1, 1));
        buf[(0, 0)].set_char(c);
        let image = painter.paint(&buf, buf.area, |_, _| true);
        assert_eq!(matches!(c, ' ' | '█'), image.pixels.iter().all(|pixel| *pixel == image.pixels[0]), "{c}");
        assert_eq!(seen.insert(image.pixels, c), None, "{c}");
    }
    // Lines join: the last column of one cell and the first of the next have the same rows.
    let mut buf = Buffer::empty(Rect::new(0, 0, 3, 1));
    buf.set_string(0, 0, "├─┤", Style::new());
    let image = painter.paint(&buf, buf.area, |_, _| true);
    let row = |y: usize| &image.pixels[y * 27..][..27];
    let line = (0..18).filter(|&y| row(y)[9] != row(0)[9]).collect::<Vec<_>>();
    assert_eq!(line.len(), 1, "one pixel high");
    assert!(row(line[0])[4..23].iter().all(|pixel| *pixel == row(line[0])[9]), "{:?}", row(line[0]));
}

#[test]
fn a_png_is_the_frame() {
    let buf = frame(Player::Scenario, moment::SPLIT, (120, 36));
    let mut out = Vec::new();
    write_png(&mut out, &buf, Background::Light).expect("written");
    let mut decoder = ::png::Decoder::new(std::io::Cursor::new(&out));
    decoder.set_transformations(::png::Transformations::EXPAND);
    let mut reader = decoder.read_info().expect("a PNG");
    let mut pixels = vec![0; reader.output_buffer_size().expect("a size")];
    let info = reader.next_frame(&mut pixels).expect("read");
    assert_eq!((info.width, info.height), (1080, 648));
    let image = Painter::new(Background::Light).expect("fonts").paint(&buf, buf.area, |_, _| true);
    let wanted: Vec<u8> = image
        .pixels
        .iter()
        .flat_map(|&index| image.palette[usize::from(index) * 3..][..3].to_vec())
        .collect();
    assert!(pixels == wanted);
}

/// Whatever nodes and people write, the page's parser sees the page's own tags only.
#[test]
fn a_page_holds_its_cast_whole() {
    let mut about = about(Size::new(120, 36));
    about.title = "</script><b>&".to_owned();
    let mut out = Vec::new();
    let cues = filmed(&about, |out| Box::new(PlayerPage::begin(out, &about).expect("begun")), &mut out);
    let page = String::from_utf8(out).expect("UTF-8");
    let (_, rest) = page.split_once("id=\"cast\"").expect("a cast");
    let (_, rest) = rest.split_once('>').expect("its tag");
    let (cast, _) = rest.split_once("</script>").expect("its end");
    assert!(!cast.contains('<'));
    decoded(cast, &cues, CastVersion::Three);
    assert_eq!(page.matches("</script>").count(), 3);
    assert!(page.contains("writes lost that a quorum acknowledged"));
    for outside in ["src=\"http", "href=\"http", "url(http", "@import"] {
        assert!(!page.contains(outside), "{outside}");
    }
}

/// However long a film is, an SVG of it has so many frames at most: evenly spread, in order, the last one among them,
/// and none is shown before its time.
#[test]
fn an_svg_of_a_long_film_has_some_of_its_frames() {
    let frame = |n: u32| {
        let mut buf = Buffer::empty(Rect::new(0, 0, 8, 1));
        buf.set_string(0, 0, n.to_string(), Style::new());
        buf
    };
    let mut frames = Frames::new();
    let count = 5_000;
    (0..count).for_each(|n| frames.push(Duration::from_millis(100) * n, &frame(n)));
    let kept: Vec<_> = frames.timed().map(|(at, buf)| (at, to_text(buf))).collect();
    assert!((100..=300).contains(&kept.len()), "{}", kept.len());
    assert_eq!(kept[0], (Duration::ZERO, "0\n".to_owned()));
    assert_eq!(kept.last().expect("a last").1, format!("{}\n", count - 1));
    let gaps: Vec<_> = kept.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
    assert!(gaps.iter().all(|gap| *gap >= Duration::from_millis(200) && *gap <= gaps[0] * 2), "{gaps:?}");
    for (at, text) in kept {
        let n: u32 = text.trim().parse().expect("a number");
        assert!(at >= Duration::from_millis(100) * n, "{at:?} {n}");
    }
}

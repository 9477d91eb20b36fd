//! Colours and glyphs: which exist on this terminal, and what each means.
//!
//! Colour never stands alone: wherever a colour says something, a glyph or a word says it too. The hues are Okabe and
//! Ito's, which people with any common kind of colour blindness can tell apart; each is as light on a dark background,
//! and as dark on a light one, as its contrast needs: 4.5:1 for text, 3:1 for graphs and frames (WCAG 2.1, AA).

use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier, Style};

/// How a frame is drawn. Small and `Copy`: handed to every pane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Theme {
    pub colours: Colours,
    pub charset: Charset,
    pub background: Background,
}

/// What colours are drawn on. The terminal's own background stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Background {
    Dark,
    Light,
}

/// Which of the two themes the person wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThemeChoice {
    /// As the terminal says, if it says so in time; else dark.
    Auto,
    Exactly(Background),
}

/// Which colours a terminal has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colours {
    /// 24 bits.
    True,
    /// The 256 of xterm.
    Indexed,
    /// The 16 that every terminal theme defines.
    Sixteen,
    /// None: bold, reverse and dim only.
    Mono,
}

/// A colour of 24 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rgb(pub u8, pub u8, pub u8);

/// Which glyphs a terminal has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charset {
    /// UTF-8, with lines, blocks and a few signs that common fonts have.
    Unicode,
    /// 7 bits.
    Ascii,
}

/// Which colours the person wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColourChoice {
    /// As the environment says.
    Auto,
    /// Colours, whatever `NO_COLOR` says; how many, as the environment says.
    Always,
    Never,
    Exactly(Colours),
}

/// What a piece of text means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Plain.
    Text,
    /// Plain, and to be read first.
    Strong,
    /// Labels, and what is not known to be so now.
    Dim,
    /// As it should be.
    Ok,
    /// Done, held.
    Done,
    /// Not as it should be.
    Warn,
    /// Broken.
    Bad,
    Primary,
    /// Later than it should be.
    Slow,
    Key,
    /// The frame of a pane.
    Border,
    /// The frame of the pane in focus.
    Focus,
    /// A bar that must be seen.
    Alarm,
    /// A bar that should be seen.
    Notice,
    /// A badge in the header.
    Badge,
    /// A time with a fault.
    Band,
}

/// A sign with a meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Glyph {
    /// The primary.
    Primary,
    /// A member that is well.
    Member,
    /// A member that is not.
    Gone,
    Selected,
    /// Yes, done, acknowledged.
    Yes,
    /// No, refused.
    No,
    /// Look at this.
    Warn,
    /// Not known yet.
    Pending,
    Unasked,
    /// No answer in time.
    Timeout,
    /// Nothing passes.
    Cut,
    /// Passes later.
    Slow,
    /// Both ways.
    Both,
    /// This way only.
    OneWay,
    /// Shading of a time with a fault.
    Band,
    /// A full cell of a progress bar.
    Full,
    /// An empty cell of a progress bar.
    Empty,
}

/// Blocks from nothing to full, for small charts.
const BARS: [&str; 9] = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];
const BARS_ASCII: [&str; 9] = [" ", ".", ":", "-", "=", "+", "*", "#", "#"];

impl Theme {
    /// For recordings and pictures: every colour, every glyph.
    pub const RECORDING: Self =
        Self { colours: Colours::True, charset: Charset::Unicode, background: Background::Dark };

    /// The theme for a terminal: what the user chose, else `NO_COLOR`, else `COLORTERM` and `TERM`. `env` gives
    /// the value of an environment variable. For a dark background, until another is known.
    pub fn resolve(choice: ColourChoice, ascii: bool, env: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| env(name).filter(|v| !v.is_empty());
        let colours = match choice {
            ColourChoice::Exactly(colours) => colours,
            ColourChoice::Never => Colours::Mono,
            ColourChoice::Auto if set("NO_COLOR").is_some() => Colours::Mono,
            ColourChoice::Auto => terminal_colours(set("COLORTERM"), set("TERM")),
            ColourChoice::Always => match terminal_colours(set("COLORTERM"), set("TERM")) {
                Colours::Mono => Colours::Sixteen,
                colours => colours,
            },
        };
        let locale = set("LC_ALL").or_else(|| set("LC_CTYPE")).or_else(|| set("LANG")).unwrap_or_default();
        let utf8 = locale.to_ascii_lowercase().replace('-', "").contains("utf8");
        let plain = ascii || !utf8 || set("TERM").as_deref() == Some("linux");
        let charset = if plain { Charset::Ascii } else { Charset::Unicode };
        Self { colours, charset, background: Background::Dark }
    }

    /// On the background that the person named, if any.
    pub fn on(self, choice: ThemeChoice) -> Self {
        match choice {
            ThemeChoice::Exactly(background) => Self { background, ..self },
            ThemeChoice::Auto => self,
        }
    }

    /// Whether the terminal has to be asked for its background: nobody named one, there are colours, and it is no
    /// terminal that prints the question.
    pub fn asks_background(self, choice: ThemeChoice, env: impl Fn(&str) -> Option<String>) -> bool {
        let term = env("TERM").unwrap_or_default();
        choice == ThemeChoice::Auto
            && self.colours != Colours::Mono
            && !["", "dumb", "linux"].contains(&term.as_str())
    }

    /// How a meaning looks.
    pub fn style(self, tone: Tone) -> Style {
        let shade = |paint: Paint| match self.background {
            Background::Dark => paint.dark,
            Background::Light => paint.light,
        };
        match self.colours {
            Colours::Mono => mono(tone),
            Colours::Sixteen => coloured(tone, |paint| shade(paint).2),
            Colours::Indexed => coloured(tone, |paint| Color::Indexed(shade(paint).1)),
            Colours::True => coloured(tone, |paint| Color::from_u32(shade(paint).0)),
        }
    }

    /// How a sign looks; one cell.
    pub fn glyph(self, glyph: Glyph) -> &'static str {
        let (unicode, ascii) = match glyph {
            Glyph::Primary => ("◆", "L"),
            Glyph::Member => ("●", "o"),
            Glyph::Gone => ("○", "."),
            Glyph::Selected => ("▸", ">"),
            Glyph::Yes => ("✓", "+"),
            Glyph::No => ("✗", "-"),
            Glyph::Warn => ("!", "!"),
            Glyph::Pending => ("…", "?"),
            Glyph::Unasked => ("·", "."),
            Glyph::Timeout => ("T", "T"),
            Glyph::Cut => ("╳", "x"),
            Glyph::Slow => ("┊", "~"),
            Glyph::Both => ("─", "-"),
            Glyph::OneWay => ("→", ">"),
            Glyph::Band => ("░", ":"),
            Glyph::Full => ("█", "#"),
            Glyph::Empty => ("░", "."),
        };
        if self.charset == Charset::Ascii { ascii } else { unicode }
    }

    /// A block that fills so many eighths of a cell from below; more than eight are eight.
    pub fn bar(self, eighths: usize) -> &'static str {
        let bars = if self.charset == Charset::Ascii { &BARS_ASCII } else { &BARS };
        bars[eighths.min(8)]
    }

    /// The last step of drawing a frame: replaces what this terminal cannot show. (Signs with a meaning come
    /// from [`Theme::glyph`] already; this catches lines, punctuation and what users and nodes wrote.)
    pub fn finish(self, buf: &mut Buffer) {
        if self.charset == Charset::Unicode {
            return;
        }
        for cell in &mut buf.content {
            if !cell.symbol().is_ascii() {
                let plain = cell.symbol().chars().next().map_or(' ', to_ascii);
                cell.set_char(plain);
            }
        }
    }
}

fn terminal_colours(colorterm: Option<String>, term: Option<String>) -> Colours {
    let (colorterm, term) = (colorterm.unwrap_or_default(), term.unwrap_or_default());
    if term.is_empty() || term == "dumb" {
        Colours::Mono
    } else if colorterm == "truecolor" || colorterm == "24bit" || term.ends_with("-direct") {
        Colours::True
    } else if term.contains("256") {
        Colours::Indexed
    } else {
        Colours::Sixteen
    }
}

/// A colour as 24 bits, as one of xterm's 256, and as one of the 16.
type Shade = (u32, u8, Color);

/// A colour on each background.
#[derive(Clone, Copy)]
struct Paint {
    dark: Shade,
    light: Shade,
}

#[rustfmt::skip]
mod paints {
    use super::{Color, Paint};

    pub(super) const DIM: Paint = Paint { dark: (0xa3_a8b1, 248, Color::Gray), light: (0x57_5d66, 240, Color::Reset) };
    pub(super) const BORDER: Paint = Paint { dark: (0x7f_8691, 245, Color::DarkGray), light: (0x7d_838d, 244, Color::DarkGray) };
    pub(super) const OK: Paint = Paint { dark: (0x56_b4e9, 74, Color::Cyan), light: (0x00_60a0, 25, Color::Blue) };
    pub(super) const DONE: Paint = Paint { dark: (0x1f_b98f, 78, Color::Green), light: (0x00_664a, 23, Color::Blue) };
    pub(super) const WARN: Paint = Paint { dark: (0xe6_9f00, 178, Color::LightYellow), light: (0x7d_5200, 94, Color::Magenta) };
    pub(super) const BAD: Paint = Paint { dark: (0xf5_813d, 209, Color::LightRed), light: (0xab_3600, 124, Color::Red) };
    pub(super) const PRIMARY: Paint = Paint { dark: (0xd5_8bb4, 175, Color::LightMagenta), light: (0x95_356d, 89, Color::Magenta) };
    pub(super) const SLOW: Paint = Paint { dark: (0xf0_e442, 227, Color::LightYellow), light: (0x66_5c00, 58, Color::Magenta) };
    /// On a bar of another colour.
    pub(super) const INK: Paint = Paint { dark: (0, 16, Color::Black), light: (0xff_ffff, 231, Color::White) };
}
use paints::{BAD, BORDER, DIM, DONE, INK, OK, PRIMARY, SLOW, WARN};

impl Background {
    /// Of this colour: light if black stands out on it more than white does.
    pub fn of(colour: Rgb) -> Self {
        let black = contrast(colour, Rgb(0, 0, 0));
        if black > contrast(colour, Rgb(255, 255, 255)) { Self::Light } else { Self::Dark }
    }
}

/// WCAG's contrast between two colours, from 1 to 21.
fn contrast(one: Rgb, other: Rgb) -> f64 {
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

/// WCAG's relative luminance, from 0 to 1.
fn luminance(Rgb(red, green, blue): Rgb) -> f64 {
    let linear = |channel: u8| match f64::from(channel) / 255.0 {
        low if low <= 0.04045 => low / 12.92,
        high => ((high + 0.055) / 1.055).powf(2.4),
    };
    0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)
}

fn coloured(tone: Tone, colour: impl Fn(Paint) -> Color) -> Style {
    let fg = |paint| Style::new().fg(colour(paint));
    match tone {
        Tone::Text => Style::new(),
        Tone::Strong => Style::new().add_modifier(Modifier::BOLD),
        Tone::Dim | Tone::Focus => fg(DIM),
        Tone::Ok => fg(OK),
        Tone::Done => fg(DONE),
        Tone::Warn => fg(WARN),
        Tone::Bad => fg(BAD).add_modifier(Modifier::BOLD),
        Tone::Primary => fg(PRIMARY).add_modifier(Modifier::BOLD),
        Tone::Slow => fg(SLOW),
        Tone::Key => fg(OK).add_modifier(Modifier::BOLD),
        Tone::Border | Tone::Band => fg(BORDER),
        Tone::Alarm => fg(INK).bg(colour(BAD)),
        Tone::Notice => fg(INK).bg(colour(WARN)),
        Tone::Badge => fg(INK).bg(colour(OK)),
    }
}

fn mono(tone: Tone) -> Style {
    let plain = Style::new();
    match tone {
        Tone::Text | Tone::Ok | Tone::Done | Tone::Slow => plain,
        Tone::Dim | Tone::Border | Tone::Band => plain.add_modifier(Modifier::DIM),
        Tone::Strong | Tone::Primary | Tone::Warn | Tone::Key | Tone::Focus => {
            plain.add_modifier(Modifier::BOLD)
        }
        Tone::Bad | Tone::Notice | Tone::Badge => plain.add_modifier(Modifier::REVERSED),
        Tone::Alarm => plain.add_modifier(Modifier::REVERSED | Modifier::BOLD),
    }
}

fn to_ascii(c: char) -> char {
    match c {
        '─' | '━' | '┄' | '–' | '—' => '-',
        '→' => '>',
        '←' => '<',
        '│' | '┃' | '┆' => '|',
        '┌' | '┐' | '└' | '┘' | '├' | '┤' | '┬' | '┴' | '┼' | '┏' | '┓' | '┗' | '┛' | '╋' => {
            '+'
        }
        '…' | '┊' => '~',
        '·' => '.',
        '≤' => '<',
        '░' => ':',
        '█' => '#',
        '↑' => '^',
        '↓' => 'v',
        '↔' => '=',
        '╳' | '×' => 'x',
        '✓' => '+',
        '✗' => '-',
        _ => '?',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn theme(choice: ColourChoice, vars: &[(&str, &str)]) -> Theme {
        let find = |name: &str| vars.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        Theme::resolve(choice, false, find)
    }

    #[test]
    fn the_users_choice_beats_no_color_beats_the_terminal() {
        let rich = [("COLORTERM", "truecolor"), ("TERM", "xterm-256color"), ("LANG", "en_GB.UTF-8")];
        let shy = [("NO_COLOR", "1"), ("TERM", "xterm-256color")];
        assert_eq!(theme(ColourChoice::Auto, &rich).colours, Colours::True);
        assert_eq!(theme(ColourChoice::Auto, &shy).colours, Colours::Mono);
        assert_eq!(
            theme(ColourChoice::Auto, &[("NO_COLOR", ""), ("TERM", "xterm")]).colours,
            Colours::Sixteen
        );
        assert_eq!(theme(ColourChoice::Always, &shy).colours, Colours::Indexed);
        assert_eq!(theme(ColourChoice::Always, &[("TERM", "dumb")]).colours, Colours::Sixteen);
        assert_eq!(theme(ColourChoice::Never, &rich).colours, Colours::Mono);
        assert_eq!(theme(ColourChoice::Exactly(Colours::Sixteen), &rich).colours, Colours::Sixteen);
    }

    #[test]
    fn the_terminal_is_asked_only_where_it_matters_and_can_answer() {
        let asks = |choice, vars: &[(&str, &str)]| {
            let find = |name: &str| vars.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
            Theme::resolve(ColourChoice::Auto, false, find).asks_background(choice, find)
        };
        assert!(asks(ThemeChoice::Auto, &[("TERM", "xterm-256color")]));
        assert!(!asks(ThemeChoice::Exactly(Background::Light), &[("TERM", "xterm-256color")]));
        assert!(!asks(ThemeChoice::Auto, &[("TERM", "xterm-256color"), ("NO_COLOR", "1")]));
        for term in ["dumb", "linux", ""] {
            assert!(!asks(ThemeChoice::Auto, &[("TERM", term), ("COLORTERM", "truecolor")]), "{term}");
        }
    }

    #[test]
    fn glyphs_follow_the_locale() {
        let charset = |vars: &[(&str, &str)]| theme(ColourChoice::Auto, vars).charset;
        assert_eq!(charset(&[("LANG", "C.UTF-8"), ("TERM", "xterm")]), Charset::Unicode);
        assert_eq!(charset(&[("LC_CTYPE", "de_DE.utf8")]), Charset::Unicode);
        assert_eq!(charset(&[("LC_ALL", "C"), ("LANG", "C.UTF-8")]), Charset::Ascii);
        assert_eq!(charset(&[("LC_ALL", ""), ("LANG", "C.UTF-8")]), Charset::Unicode);
        assert_eq!(charset(&[("LANG", "C.UTF-8"), ("TERM", "linux")]), Charset::Ascii);
        assert_eq!(charset(&[]), Charset::Ascii);
        let forced = Theme::resolve(ColourChoice::Auto, true, |_| Some("C.UTF-8".to_owned()));
        assert_eq!(forced.charset, Charset::Ascii);
    }

    #[test]
    fn mono_has_no_colour_at_all() {
        let theme = Theme { colours: Colours::Mono, ..Theme::RECORDING };
        for tone in [Tone::Ok, Tone::Bad, Tone::Alarm, Tone::Badge, Tone::Dim, Tone::Band, Tone::Key] {
            let style = theme.style(tone);
            assert_eq!((style.fg, style.bg), (None, None), "{tone:?}");
        }
    }

    const TEXT: [Tone; 11] = [
        Tone::Dim,
        Tone::Ok,
        Tone::Done,
        Tone::Warn,
        Tone::Bad,
        Tone::Primary,
        Tone::Slow,
        Tone::Key,
        Tone::Alarm,
        Tone::Notice,
        Tone::Badge,
    ];
    const GRAPHS: [Tone; 3] = [Tone::Border, Tone::Band, Tone::Focus];
    /// Black, what terminals and well-known colour schemes have for it, and the pictures' own.
    const DARK: [u32; 9] =
        [0, 0x0c_0c0c, 0x10_1418, 0x1e_1e1e, 0x28_2828, 0x28_2a36, 0x00_2b36, 0x30_0a24, 0x2e_3440];
    /// White, and what they have for it.
    const LIGHT: [u32; 6] = [0xff_ffff, 0xfa_fafa, 0xfd_f6e3, 0xfb_f1c7, 0xef_f1f5, 0xee_eeee];
    /// The 16 of xterm and those of the VGA: no terminal must have them, nearly all began with one of them.
    const XTERM: [u32; 16] = [
        0, 0xcd_0000, 0x00_cd00, 0xcd_cd00, 0x00_00ee, 0xcd_00cd, 0x00_cdcd, 0xe5_e5e5, 0x7f_7f7f, 0xff_0000,
        0x00_ff00, 0xff_ff00, 0x5c_5cff, 0xff_00ff, 0x00_ffff, 0xff_ffff,
    ];
    const VGA: [u32; 16] = [
        0, 0xaa_0000, 0x00_aa00, 0xaa_5500, 0x00_00aa, 0xaa_00aa, 0x00_aaaa, 0xaa_aaaa, 0x55_5555, 0xff_5555,
        0x55_ff55, 0xff_ff55, 0x55_55ff, 0xff_55ff, 0x55_ffff, 0xff_ffff,
    ];

    fn rgb(code: u32) -> Rgb {
        let [_, red, green, blue] = code.to_be_bytes();
        Rgb(red, green, blue)
    }

    /// What a terminal with these 16 shows; `None`: its own colour of text.
    fn shown(colour: Option<Color>, sixteen: &[u32; 16]) -> Option<Rgb> {
        let level = |n: u8| if n == 0 { 0 } else { 55 + 40 * n };
        let named = [
            Color::Black,
            Color::Red,
            Color::Green,
            Color::Yellow,
            Color::Blue,
            Color::Magenta,
            Color::Cyan,
            Color::Gray,
            Color::DarkGray,
            Color::LightRed,
            Color::LightGreen,
            Color::LightYellow,
            Color::LightBlue,
            Color::LightMagenta,
            Color::LightCyan,
            Color::White,
        ];
        match colour? {
            Color::Reset => None,
            Color::Rgb(red, green, blue) => Some(Rgb(red, green, blue)),
            Color::Indexed(i @ 232..) => {
                Some(Rgb(8 + 10 * (i - 232), 8 + 10 * (i - 232), 8 + 10 * (i - 232)))
            }
            Color::Indexed(i @ 16..) => {
                Some(Rgb(level((i - 16) / 36), level((i - 16) / 6 % 6), level((i - 16) % 6)))
            }
            other => named.iter().position(|&name| name == other).map(|i| rgb(sixteen[i])),
        }
    }

    /// The least contrast of a tone on any of these backgrounds; a bar has its own.
    fn least(theme: Theme, tone: Tone, sixteen: &[u32; 16], grounds: &[u32]) -> f64 {
        let style = theme.style(tone);
        let Some(ink) = shown(style.fg, sixteen) else { return f64::INFINITY };
        let on = |ground: &u32| contrast(ink, shown(style.bg, sixteen).unwrap_or(rgb(*ground)));
        grounds.iter().map(on).fold(f64::INFINITY, f64::min)
    }

    #[test]
    fn text_and_graphs_can_be_read_on_every_usual_background() {
        assert!((contrast(rgb(0), rgb(0xff_ffff)) - 21.0).abs() < 1e-9, "the definition");
        for (background, grounds) in [(Background::Dark, &DARK[..]), (Background::Light, &LIGHT)] {
            for colours in [Colours::True, Colours::Indexed] {
                let theme = Theme { colours, background, ..Theme::RECORDING };
                for (tone, needed) in
                    TEXT.map(|tone| (tone, 4.5)).into_iter().chain(GRAPHS.map(|tone| (tone, 3.0)))
                {
                    let least = least(theme, tone, &XTERM, grounds);
                    assert!(least >= needed, "{tone:?} has {least:.2}:1 ({background:?}, {colours:?})");
                }
            }
        }
    }

    /// The terminal says what the 16 are: those of xterm and the VGA, on black and on white. (The frames of a VGA are at
    /// 2.8:1: it has no grey between that and the one of text.)
    #[test]
    fn so_can_text_of_sixteen_colours() {
        for (background, ground) in [(Background::Dark, 0), (Background::Light, 0xff_ffff)] {
            let theme = Theme { colours: Colours::Sixteen, background, ..Theme::RECORDING };
            for (tone, sixteen) in TEXT.iter().flat_map(|&tone| [(tone, &XTERM), (tone, &VGA)]) {
                let least = least(theme, tone, sixteen, &[ground]);
                assert!(least >= 4.5, "{tone:?} has {least:.2}:1 ({background:?})");
            }
            assert!(GRAPHS.iter().all(|&tone| least(theme, tone, &XTERM, &[ground]) >= 3.0));
        }
    }

    #[test]
    fn a_background_is_dark_or_light() {
        for ground in DARK {
            assert_eq!(Background::of(rgb(ground)), Background::Dark, "{ground:06x}");
        }
        for ground in LIGHT {
            assert_eq!(Background::of(rgb(ground)), Background::Light, "{ground:06x}");
        }
    }
}

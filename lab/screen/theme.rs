//! Colours and glyphs: which exist on this terminal, and what each means.
//!
//! Colour never stands alone: wherever a colour says something, a glyph or a word says it too. The palette is
//! Okabe and Ito's, which people with any common kind of colour blindness can tell apart.

use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier, Style};

/// How a frame is drawn. Small and `Copy`: handed to every pane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Theme {
    pub colours: Colours,
    pub charset: Charset,
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
    pub const RECORDING: Self = Self { colours: Colours::True, charset: Charset::Unicode };

    /// The theme for a terminal: what the user chose, else `NO_COLOR`, else `COLORTERM` and `TERM`. `env` gives
    /// the value of an environment variable.
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
        Self { colours, charset: if plain { Charset::Ascii } else { Charset::Unicode } }
    }

    /// How a meaning looks.
    pub fn style(self, tone: Tone) -> Style {
        match self.colours {
            Colours::Mono => mono(tone),
            Colours::Sixteen => coloured(tone, |(_, _, named)| named),
            Colours::Indexed => coloured(tone, |(_, indexed, _)| Color::Indexed(indexed)),
            Colours::True => coloured(tone, |(rgb, _, _)| Color::from_u32(rgb)),
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
type Paint = (u32, u8, Color);

const DIM: Paint = (0x8a_8f98, 245, Color::DarkGray);
const BORDER: Paint = (0x5a_606a, 240, Color::DarkGray);
const OK: Paint = (0x56_b4e9, 74, Color::Cyan);
const DONE: Paint = (0x00_9e73, 36, Color::Green);
const WARN: Paint = (0xe6_9f00, 178, Color::Yellow);
const BAD: Paint = (0xd5_5e00, 166, Color::Red);
const PRIMARY: Paint = (0xcc_79a7, 175, Color::Magenta);
const SLOW: Paint = (0xf0_e442, 227, Color::LightYellow);
const INK: Paint = (0, 16, Color::Black);

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
        let theme = Theme { colours: Colours::Mono, charset: Charset::Unicode };
        for tone in [Tone::Ok, Tone::Bad, Tone::Alarm, Tone::Badge, Tone::Dim, Tone::Band, Tone::Key] {
            let style = theme.style(tone);
            assert_eq!((style.fg, style.bg), (None, None), "{tone:?}");
        }
    }
}

//! The real terminal: raw mode, the alternate screen and bracketed paste, given back on every way out; and its bytes.
//!
//! * Normal end and error: [`Guard`] is dropped.
//! * A panic of the thread that draws: unwinding drops the guard, which then prints what the panic said.
//! * A panic elsewhere (tokio catches it): nothing may be printed into the picture. The hook keeps the message
//!   for [`task_panic`]; the loop looks there and ends in order.

use std::io::{self, Stdout, Write as _, stdin, stdout};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, Once, PoisonError};

use crossterm::cursor::{Hide, Show};
use crossterm::event::{DisableBracketedPaste, EnableBracketedPaste};
use crossterm::execute;
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::layout::{Rect, Size};
use rustix::fs::{Mode, OFlags};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Bytes of one read: as many as a terminal's line discipline holds.
pub const READ_BYTES: usize = 4096;
/// The question for the colour of the background: OSC 11.
const ASK_BACKGROUND: &[u8] = b"\x1b]11;?\x07";

/// Whether a guard holds the terminal: panics then speak later.
static HELD: AtomicBool = AtomicBool::new(false);
/// What the first panic said while the terminal was held.
static PANIC: Mutex<Option<String>> = Mutex::new(None);
static HOOK: Once = Once::new();

/// Holds the terminal in raw mode on the alternate screen until dropped.
pub struct Guard {
    terminal: Terminal<CrosstermBackend<Stdout>>,
}

/// The bytes that come from the terminal.
pub struct Bytes {
    fd: AsyncFd<OwnedFd>,
}

impl Bytes {
    /// Opens the terminal of standard input once more, so that not to wait for bytes is a setting of this end alone.
    ///
    /// # Errors
    /// If it cannot be opened or waited for.
    pub fn open() -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let named = rustix::termios::ttyname(stdin(), Vec::new())
            .and_then(|name| rustix::fs::open(name, flags, Mode::empty()));
        // In a container the terminal may have no name that exists there.
        let fd = named.or_else(|_| rustix::fs::open("/dev/tty", flags, Mode::empty()))?;
        #[expect(
            deprecated,
            reason = "sound for a file that it owns; what replaces it is unsafe code, and there is none here"
        )]
        Ok(Self { fd: AsyncFd::with_interest(fd, Interest::READABLE)? })
    }

    /// What one read gives; waits for it. Nothing is lost if the future is dropped.
    ///
    /// # Errors
    /// If the terminal is gone.
    pub async fn read(&self, bytes: &mut [u8; READ_BYTES]) -> io::Result<usize> {
        let read = |fd: &OwnedFd| rustix::io::read(fd, &mut bytes[..]).map_err(io::Error::from);
        match self.fd.async_io(Interest::READABLE, read).await? {
            0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "no more keys")),
            count => Ok(count),
        }
    }
}

/// What a panic of another thread or of a task said since the guard was entered.
pub fn task_panic() -> Option<String> {
    PANIC.lock().unwrap_or_else(PoisonError::into_inner).take()
}

impl Guard {
    /// Takes the terminal over.
    ///
    /// # Errors
    /// If it refuses; it is as before then.
    pub fn enter() -> io::Result<Self> {
        // Colour or none is the theme's decision: crossterm must not drop styles because of NO_COLOR.
        crossterm::style::force_color_output(true);
        HOOK.call_once(install_hook);
        task_panic();
        take_over()?;
        HELD.store(true, Ordering::SeqCst);
        match Terminal::new(CrosstermBackend::new(stdout())) {
            Ok(terminal) => Ok(Self { terminal }),
            Err(error) => {
                give_back();
                Err(error)
            }
        }
    }

    /// Draws a frame; only what has changed is written.
    pub fn draw(&mut self, render: impl FnOnce(Rect, &mut ratatui::buffer::Buffer)) -> io::Result<()> {
        self.terminal.draw(|frame| render(frame.area(), frame.buffer_mut())).map(|_| ())
    }

    /// The next frame is drawn whole. (Not by `Terminal::clear`: it asks the terminal where the cursor is, and
    /// the answer would be taken by the stream of keys.)
    pub fn repaint(&mut self) -> io::Result<()> {
        let size = self.size()?;
        self.terminal.resize(Rect::from((ratatui::layout::Position::ORIGIN, size)))
    }

    pub fn size(&self) -> io::Result<Size> {
        self.terminal.size()
    }

    /// Asks the terminal for the colour of its background. It answers among the keys, or never.
    ///
    /// # Errors
    /// If the terminal is gone.
    pub fn ask_background(&mut self) -> io::Result<()> {
        stdout().write_all(ASK_BACKGROUND)?;
        stdout().flush()
    }

    /// Gives the terminal back for a while, until [`Guard::come_back`].
    pub fn step_aside(&mut self) {
        give_back();
    }

    /// Takes the terminal over again.
    ///
    /// # Errors
    /// If it refuses.
    pub fn come_back(&mut self) -> io::Result<()> {
        take_over()?;
        HELD.store(true, Ordering::SeqCst);
        self.repaint()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        give_back();
        if std::thread::panicking()
            && let Some(message) = task_panic()
        {
            eprintln!("{message}");
        }
    }
}

fn take_over() -> io::Result<()> {
    enable_raw_mode()?;
    execute!(stdout(), EnterAlternateScreen, EnableBracketedPaste, Hide).inspect_err(|_| give_back())
}

/// Every step is tried even if another fails: there is nothing else to be done about it.
fn give_back() {
    let _ = execute!(stdout(), Show, DisableBracketedPaste, LeaveAlternateScreen);
    let _ = disable_raw_mode();
    HELD.store(false, Ordering::SeqCst);
}

fn install_hook() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !HELD.load(Ordering::SeqCst) {
            return before(info);
        }
        let thread = std::thread::current();
        let name = thread.name().unwrap_or("without a name").to_owned();
        let mut message = format!("thread '{name}' {info}");
        let trace = std::backtrace::Backtrace::capture();
        if trace.status() == std::backtrace::BacktraceStatus::Captured {
            message = format!("{message}\n{trace}");
        }
        PANIC.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(message);
    }));
}

//! The terminal taken and given back: once each, whatever happens.
//!
//! What is switched on is one table with what switches it off again, so that nothing stays behind. A panic gives
//! the terminal back before its message is written.

use std::io::{self, BufWriter, Stdout, Write as _, stdout};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::terminal::{disable_raw_mode, enable_raw_mode};
use ratatui::backend::CrosstermBackend;
use ratatui::buffer::Buffer;

/// What is switched on, and off again in the opposite order: the alternate screen, the hidden cursor, pasting as
/// a whole, the focus.
const MODES: [(&str, &str); 4] = [
    ("\x1b[?1049h", "\x1b[?1049l"),
    ("\x1b[?25l", "\x1b[?25h"),
    ("\x1b[?2004h", "\x1b[?2004l"),
    ("\x1b[?1004h", "\x1b[?1004l"),
];

/// Buttons and wheel without every movement, with coordinates beyond 223.
const MOUSE: (&str, &str) = ("\x1b[?1000h\x1b[?1006h", "\x1b[?1006l\x1b[?1000l");

/// Around every frame (DEC 2026), so that it is never seen in part.
const FRAME: (&str, &str) = ("\x1b[?2026h", "\x1b[?2026l");

/// Whether the terminal is ours.
static OURS: AtomicBool = AtomicBool::new(false);

/// The terminal, taken until it is dropped.
pub struct Terminal {
    inner: ratatui::Terminal<CrosstermBackend<BufWriter<Stdout>>>,
    mouse: bool,
}

impl Terminal {
    /// Takes the terminal.
    pub fn take(mouse: bool) -> io::Result<Self> {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let before = std::panic::take_hook();
            let console = std::thread::current().id();
            std::panic::set_hook(Box::new(move |panic| {
                // A task that panics ends its request alone: the console goes on, and its screen stays whole.
                if std::thread::current().id() == console || !OURS.load(Ordering::SeqCst) {
                    give_back();
                    before(panic);
                } else {
                    tracing::error!("{panic}");
                }
            }));
        });
        enter(mouse)?;
        let inner = ratatui::Terminal::new(backend()).inspect_err(|_| give_back())?;
        Ok(Self { inner, mouse })
    }

    /// Draws a frame.
    pub fn draw(&mut self, draw: impl FnOnce(&mut Buffer)) -> io::Result<()> {
        self.inner.backend_mut().write_all(FRAME.0.as_bytes())?;
        self.inner.draw(|frame| draw(frame.buffer_mut()))?;
        self.inner.backend_mut().write_all(FRAME.1.as_bytes())?;
        io::Write::flush(self.inner.backend_mut())
    }

    /// Columns and lines.
    pub fn size(&self) -> io::Result<(u16, u16)> {
        self.inner.size().map(|size| (size.width, size.height))
    }

    /// Forgets what is on the screen; the next frame is drawn whole.
    pub fn forget(&mut self) -> io::Result<()> {
        write("\x1b[2J")?;
        // Not `clear`: that one asks the terminal where its cursor is, and waits for the answer.
        self.inner = ratatui::Terminal::new(backend())?;
        Ok(())
    }

    /// Takes the mouse, or leaves it.
    pub fn mouse(&mut self, taken: bool) -> io::Result<()> {
        self.mouse = taken;
        write(if taken { MOUSE.0 } else { MOUSE.1 })
    }

    /// Copies a text through the terminal (OSC 52).
    pub fn copy(text: &str) -> io::Result<()> {
        use base64::Engine as _;
        let text = base64::engine::general_purpose::STANDARD.encode(text);
        write(&format!("\x1b]52;c;{text}\x07"))
    }

    /// Gives the terminal back and stops, as a job of the shell, until the shell goes on with us.
    pub fn suspend(&mut self) -> io::Result<()> {
        give_back();
        // Not TSTP: that one is ours, and does nothing in a session without a shell.
        #[cfg(unix)]
        rustix::process::kill_current_process_group(rustix::process::Signal::STOP)?;
        self.resume()
    }

    /// Gives the terminal to another program, and takes it again afterwards.
    pub fn lend<T>(&mut self, program: impl FnOnce() -> T) -> io::Result<T> {
        give_back();
        let said = program();
        self.resume()?;
        Ok(said)
    }

    /// Takes the terminal again after it was given back.
    pub fn resume(&mut self) -> io::Result<()> {
        enter(self.mouse)?;
        self.forget()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        give_back();
    }
}

/// A whole frame goes out at once: a line of the standard output's own buffer is a system call each.
fn backend() -> CrosstermBackend<BufWriter<Stdout>> {
    CrosstermBackend::new(BufWriter::with_capacity(64 << 10, stdout()))
}

fn write(text: &str) -> io::Result<()> {
    let mut out = stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

fn enter(mouse: bool) -> io::Result<()> {
    OURS.store(true, Ordering::SeqCst);
    let switch_on = || {
        enable_raw_mode()?;
        let mut on: String = MODES.iter().map(|(on, _)| *on).collect();
        if mouse {
            on.push_str(MOUSE.0);
        }
        write(&on)
    };
    switch_on().inspect_err(|_| give_back())
}

/// Gives the terminal back, once; every step is tried whatever became of those before.
fn give_back() {
    if OURS.swap(false, Ordering::SeqCst) {
        let off: String = MODES.iter().rev().map(|(_, off)| *off).collect();
        let _ = write(&format!("{}{}\x1b[0m{off}", FRAME.1, MOUSE.1));
        let _ = disable_raw_mode();
    }
}

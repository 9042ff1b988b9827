//! The terminal while `top` has it: keys one by one, the other screen, everything as before at the end.

use std::io::{self, IsTerminal, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use tokio::sync::mpsc;

/// What a key means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// Enough seen.
    Quit,
    /// One line up.
    Up,
    /// One line down.
    Down,
    /// A screen up.
    PageUp,
    /// A screen down.
    PageDown,
    /// The other order.
    Sort,
}

/// A terminal that is given back as it was when this is dropped.
pub(super) struct Terminal {
    before: Option<Termios>,
    stop: Arc<AtomicBool>,
    reader: Option<JoinHandle<()>>,
}

impl Terminal {
    /// Takes it. Without a keyboard there are no keys, and only a signal ends the program.
    pub(super) fn open() -> io::Result<(Terminal, mpsc::Receiver<Key>)> {
        let (send, keys) = mpsc::channel(16);
        let stop = Arc::new(AtomicBool::new(false));
        let mut terminal = Terminal { before: None, stop: stop.clone(), reader: None };
        if io::stdin().is_terminal() {
            terminal.before = Some(single_keys()?);
        }
        terminal.reader = Some(std::thread::Builder::new().name("keys".to_owned()).spawn(move || read_keys(&send, &stop))?);
        write!(io::stdout(), "\u{1b}[?1049h\u{1b}[?25l\u{1b}[2J")?;
        Ok((terminal, keys))
    }

    /// Columns and lines.
    pub(super) fn size(&self) -> (u16, u16) {
        match tcgetwinsize(io::stdout()) {
            Ok(size) if size.ws_col > 0 && size.ws_row > 0 => (size.ws_col, size.ws_row),
            _ => (80, 24),
        }
    }

    /// Draws over what was there.
    pub(super) fn show(&mut self, lines: &[String]) -> io::Result<()> {
        let mut frame = String::from("\u{1b}[H");
        frame.push_str(&lines.join("\u{1b}[K\r\n"));
        frame.push_str("\u{1b}[K\u{1b}[J");
        let mut out = io::stdout().lock();
        out.write_all(frame.as_bytes())?;
        out.flush()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Nothing can be done about a terminal that is gone.
        let _ = write!(io::stdout(), "\u{1b}[?25h\u{1b}[?1049l");
        let _ = io::stdout().flush();
        if let Some(before) = &self.before {
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, before);
        }
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

/// Keys at once and unseen; a read waits a fifth of a second at most. Ctrl-C stays a signal.
fn single_keys() -> io::Result<Termios> {
    let before = tcgetattr(io::stdin())?;
    let mut now = before.clone();
    now.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
    now.special_codes[SpecialCodeIndex::VMIN] = 0;
    now.special_codes[SpecialCodeIndex::VTIME] = 2;
    tcsetattr(io::stdin(), OptionalActions::Now, &now)?;
    Ok(before)
}

fn read_keys(keys: &mpsc::Sender<Key>, stop: &AtomicBool) {
    let mut bytes = [0; 16];
    let watched = io::stdin().is_terminal();
    while watched && !stop.load(Ordering::Relaxed) {
        match io::stdin().read(&mut bytes) {
            // Nothing was pressed.
            Ok(0) => {}
            Ok(count) => {
                if let Some(key) = meant(&bytes[..count])
                    && keys.blocking_send(key).is_err()
                {
                    return;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
    // Without a keyboard: the sender lives on, so that nobody takes its end for a wish to quit.
    while !stop.load(Ordering::Relaxed) {
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
}

/// What was pressed, by the bytes that terminals send.
fn meant(bytes: &[u8]) -> Option<Key> {
    match bytes {
        b"q" | b"Q" | b"\x1b" | b"\x03" => Some(Key::Quit),
        b"k" | b"\x1b[A" | b"\x1bOA" => Some(Key::Up),
        b"j" | b"\x1b[B" | b"\x1bOB" => Some(Key::Down),
        b"\x1b[5~" => Some(Key::PageUp),
        b" " | b"\x1b[6~" => Some(Key::PageDown),
        b"s" | b"S" => Some(Key::Sort),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_mean_what_the_help_says() {
        assert_eq!(meant(b"q"), Some(Key::Quit));
        assert_eq!(meant(b"\x1b[A"), Some(Key::Up));
        assert_eq!(meant(b"\x1b[6~"), Some(Key::PageDown));
        assert_eq!(meant(b"s"), Some(Key::Sort));
        assert_eq!(meant(b"x"), None);
    }
}

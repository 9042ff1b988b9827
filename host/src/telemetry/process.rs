//! What the system says of this process. On Linux, from `/proc`; elsewhere nothing.

use std::path::Path;

/// Parts of a second in which the kernel tells processor time; the same on every Linux.
const TICKS: f64 = 100.0;

/// What is known of the process.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Process {
    /// Unix time of its start.
    pub start_seconds: Option<f64>,
    /// Processor time.
    pub cpu_seconds: Option<f64>,
    /// Resident memory.
    pub memory_bytes: Option<f64>,
    /// Open files and sockets.
    pub open_fds: Option<f64>,
    /// How many there may be.
    pub max_fds: Option<f64>,
}

impl Process {
    /// Asks. Takes microseconds.
    pub fn look() -> Process {
        let read = |name: &str| std::fs::read_to_string(Path::new("/proc").join(name)).unwrap_or_default();
        let open_fds = std::fs::read_dir("/proc/self/fd").ok().map(|files| files.count() as f64);
        Process { open_fds, ..Process::read(&read("self/stat"), &read("self/status"), &read("self/limits"), &read("stat")) }
    }

    fn read(stat: &str, status: &str, limits: &str, system: &str) -> Process {
        // The second field is the program's name in parentheses, and may have spaces and parentheses in it.
        let fields: Vec<f64> =
            stat.rsplit(')').next().unwrap_or_default().split_whitespace().map(|field| field.parse().unwrap_or(0.0)).collect();
        let field = |number: usize| fields.get(number - 3).copied();
        let boot = number_after(system, "btime ");
        Process {
            start_seconds: field(22).zip(boot).map(|(ticks, boot)| boot + ticks / TICKS),
            cpu_seconds: field(14).zip(field(15)).map(|(user, system)| (user + system) / TICKS),
            memory_bytes: number_after(status, "VmRSS:").map(|kilobytes| kilobytes * 1_024.0),
            open_fds: None,
            max_fds: number_after(limits, "Max open files"),
        }
    }
}

/// The first number behind a word at the begin of a line.
fn number_after(text: &str, word: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(word))?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_words_are_read() {
        let stat = "42 (a b) c) S 1 42 42 0 -1 4194560 9 0 0 0 150 50 0 0 20 0 9 0 1000 1 2 3";
        let process = Process::read(
            stat,
            "Name:\tx\nVmRSS:\t    2048 kB\n",
            "Max open files            1024     4096     files\n",
            "cpu 1\nbtime 500\n",
        );
        assert_eq!(process.start_seconds, Some(510.0));
        assert_eq!(process.cpu_seconds, Some(2.0));
        assert_eq!((process.memory_bytes, process.max_fds), (Some(2_097_152.0), Some(1024.0)));
        assert_eq!(Process::read("", "", "", ""), Process::default());
    }
}

//! Where components are compiled: threads of their own that give way to whatever delivers.
//!
//! A compilation takes all the time it can get, on as many threads as there are processors. On an idle machine that is what one wants; on a busy one
//! it would take turns with the threads that deliver. So its threads have a low priority, and no other work is ever queued behind it.

use rayon_core::{ThreadPool, ThreadPoolBuilder};
use thread_priority::unix::{NormalThreadSchedulePolicy, ThreadSchedulePolicy, set_thread_priority_and_policy, thread_native_id};
use thread_priority::{ThreadPriority, ThreadPriorityValue};

/// On a scale from 0 to 99; a nice value of 10, which gets a tenth of a processor where others want all of it.
const PRIORITY: u8 = 22;

/// The threads, started with the first compilation.
pub(super) struct Workshop(ThreadPool);

impl Workshop {
    pub(super) fn new() -> std::io::Result<Workshop> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let pool = ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|number| format!("plugin-compiler-{number}"))
            .start_handler(|_| give_way())
            .build();
        pool.map(Workshop).map_err(std::io::Error::other)
    }

    /// Runs the work there, and what it does in parallel as well; waits for it.
    pub(super) fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.0.install(work)
    }
}

/// Lowers the priority of this thread. Where that is not possible it works all the same.
fn give_way() {
    let Ok(priority) = ThreadPriorityValue::try_from(PRIORITY) else { return };
    let policy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Other);
    if let Err(error) = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Crossplatform(priority), policy) {
        tracing::debug!(?error, "Compiling has no lower priority than delivering on this machine.");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn the_threads_have_a_lower_priority_than_others() {
        let nice = || {
            // The 19th field, counted behind the name, which may hold anything.
            let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
            stat.rsplit_once(')').unwrap().1.split_whitespace().nth(16).unwrap().parse::<i32>().unwrap()
        };
        let workshop = Workshop::new().unwrap();
        assert_eq!(workshop.run(nice), 10, "others have {}", nice());
    }
}

//! Where components are compiled: threads of their own that give way to whatever delivers.
//!
//! A compilation takes all the time it can get, on as many threads as there are processors: before anything is delivered that is what one wants. Later
//! it would take turns with the threads that deliver. So its threads have a low priority, and from then on there are half as many: what has a low priority
//! still holds the locks of the process's memory while it waits for its turn.

use std::sync::atomic::{AtomicBool, Ordering};

use rayon_core::{ThreadPoolBuildError, ThreadPoolBuilder};
use thread_priority::unix::{NormalThreadSchedulePolicy, ThreadSchedulePolicy, set_thread_priority_and_policy, thread_native_id};
use thread_priority::{ThreadPriority, ThreadPriorityValue};

/// On a scale from 0 to 99; a nice value of 10, which gets a tenth of a processor where others want all of it.
const PRIORITY: u8 = 22;

/// Starts threads for each compilation and ends them after it.
#[derive(Debug, Default)]
pub(super) struct Workshop {
    sharing: AtomicBool,
}

impl Workshop {
    /// From now on others need the processors too.
    pub(super) fn share(&self) {
        self.sharing.store(true, Ordering::Relaxed);
    }

    /// Runs the work there, and what it does in parallel as well; waits for it. The error says why there are no threads.
    pub(super) fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, ThreadPoolBuildError> {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = if self.sharing.load(Ordering::Relaxed) { (processors / 2).max(1) } else { processors };
        let name = |number| format!("plugin-compiler-{number}");
        let threads = ThreadPoolBuilder::new().num_threads(threads).thread_name(name).start_handler(|_| give_way()).build()?;
        Ok(threads.install(work))
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
        assert_eq!(Workshop::default().run(nice).unwrap(), 10, "others have {}", nice());
    }

    #[test]
    fn half_of_the_processors_are_left_to_others_once_they_need_them() {
        let workshop = Workshop::default();
        let all = workshop.run(rayon_core::current_num_threads).unwrap();
        workshop.share();
        assert_eq!(workshop.run(rayon_core::current_num_threads).unwrap(), (all / 2).max(1));
    }
}

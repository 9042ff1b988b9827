//! Ways not to return.

use core::hint::{black_box, spin_loop};

/// Never returns.
pub(crate) fn spin() -> ! {
    loop {
        spin_loop();
    }
}

/// Ends the instance at once.
pub(crate) fn trap() -> ! {
    #[cfg(target_arch = "wasm32")]
    core::arch::wasm32::unreachable();
    #[cfg(not(target_arch = "wasm32"))]
    std::process::abort()
}

/// Calls itself until there is no stack.
#[allow(unconditional_recursion)]
pub(crate) fn overflow(depth: u64) -> u64 {
    let frame = black_box([depth; 16]);
    overflow(depth + 1) + black_box(frame)[0]
}

/// Takes memory, a MiB at a time, until it is refused; says how many MiB there were.
pub(crate) fn take_all_memory() -> u32 {
    let mut taken = 0;
    #[cfg(target_arch = "wasm32")]
    while core::arch::wasm32::memory_grow::<0>(16) != usize::MAX {
        taken += 1;
    }
    #[cfg(not(target_arch = "wasm32"))]
    black_box(&mut taken);
    taken
}

/// Spins or traps, where the behaviour names that and this call: `spin-begin`, `trap-sign`.
pub(crate) fn at(behaviour: &str, call: &str) {
    match behaviour.split_once('-') {
        Some(("spin", at)) if at == call => spin(),
        Some(("trap", at)) if at == call => trap(),
        _ => {}
    }
}

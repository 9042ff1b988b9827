//! The guest's memory: an arena for usual calls, the host's pages for large batches; and the end of a panic.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::arch::wasm32::memory_grow;
use core::panic::PanicInfo;

use talc::base::Talc;
use talc::base::binning::Binning;
use talc::cell::TalcSyncCell;
use talc::source::Source;
use talc::wasm::WasmBinning;

/// Holds an incident of usual size. Small, because the host clears it after every call: README.md, "How it is built".
const ARENA: usize = 16 * 1024;

const PAGE: usize = 64 * 1024;

/// The least that memory grows by, in pages: growing is a call into the host.
const STEP: usize = 4;

static mut MEMORY: [u8; ARENA] = [0; ARENA];

/// The arena first, then new pages as far as the host allows.
#[derive(Debug)]
struct ArenaThenPages {
    claimed: bool,
}

// SAFETY: `acquire` allocates nothing itself, and answers `Ok` only after it handed over new memory.
unsafe impl Source for ArenaThenPages {
    fn acquire<B: Binning>(talc: &mut Talc<Self, B>, layout: Layout) -> Result<(), ()> {
        if !talc.source.claimed {
            talc.source.claimed = true;
            // SAFETY: nothing else names MEMORY, and it is claimed once, so the allocator is its only user to the end of the instance.
            return unsafe { talc.claim((&raw mut MEMORY).cast(), ARENA) }.map(drop).ok_or(());
        }
        // One page more than the request, for the allocator's own words.
        let pages = layout.size().saturating_add(layout.align()).div_ceil(PAGE).saturating_add(1).max(STEP);
        let end = memory_grow::<0>(pages);
        if end == usize::MAX {
            return Err(());
        }
        // SAFETY: the host has just added these pages at the end of memory; nobody else knows them.
        unsafe { talc.claim((end * PAGE) as *mut u8, pages * PAGE) }.map(drop).ok_or(())
    }
}

#[global_allocator]
static ALLOCATOR: TalcSyncCell<ArenaThenPages, WasmBinning> = TalcSyncCell::new_wasm(ArenaThenPages { claimed: false });

/// A panic is a fault of the plugin: trap, and let the host say which function it was.
#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}

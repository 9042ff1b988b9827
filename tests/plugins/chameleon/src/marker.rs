//! The marker: a region of static data that a test overwrites in the finished component.

/// Bytes in the region.
const LENGTH: usize = 64;
/// Bytes before the name, `BEHAVIOUR=`.
const PREFIX: usize = 10;
const FILLER: u8 = b'#';

#[used]
static MARKER: [u8; LENGTH] = *b"BEHAVIOUR=good##################################################";

/// The name of a behaviour.
pub(crate) struct Behaviour([u8; LENGTH]);

impl Behaviour {
    /// What the marker says now.
    pub(crate) fn get() -> Self {
        // SAFETY: the pointer is to a static that is initialised, aligned and never written. The read is volatile because the compiler would
        // otherwise put the name it knows in place of the one that a test patched in.
        Self(unsafe { core::ptr::read_volatile(&raw const MARKER) })
    }

    /// Its name, without the filler.
    pub(crate) fn name(&self) -> &str {
        let name = &self.0[PREFIX..];
        let end = name.iter().position(|byte| *byte == FILLER).unwrap_or(name.len());
        core::str::from_utf8(&name[..end]).unwrap_or("")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_patch_it_behaves() {
        assert_eq!(Behaviour::get().name(), "good");
    }

    #[test]
    fn a_name_may_fill_the_region() {
        assert_eq!(Behaviour([b'x'; LENGTH]).name().len(), LENGTH - PREFIX);
    }
}

//! The chameleon, told how to behave: for every test crate that includes this file.

use std::path::Path;

/// The component with a name in its marker; `tests/plugins/chameleon/README.md` lists the names.
pub(crate) fn chameleon(behaviour: &str) -> Vec<u8> {
    const MARKER: &[u8] = b"BEHAVIOUR=";
    const ROOM: usize = 54;
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/plugins/fixtures/chameleon.wasm");
    let mut bytes =
        std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}; run `cargo xtask build-plugins` first", path.display()));
    let at = bytes.windows(MARKER.len()).position(|window| window == MARKER).expect("the chameleon has a marker") + MARKER.len();
    let name = &mut bytes[at..at + ROOM];
    name.fill(b'#');
    name[..behaviour.len()].copy_from_slice(behaviour.as_bytes());
    bytes
}

//! A component that takes long to compile: for every test crate that includes this file.

/// A number as WebAssembly writes it.
fn leb(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (number & 0x7f) as u8;
        number >>= 7;
        bytes.push(if number > 0 { low | 0x80 } else { low });
        if number == 0 {
            return bytes;
        }
    }
}

fn section(id: u8, content: &[u8]) -> Vec<u8> {
    [vec![id], leb(content.len()), content.to_vec()].concat()
}

/// The component with so many MiB of code behind it that nobody calls, and that has to be compiled all the same.
pub(crate) fn slow(component: Vec<u8>, mebibytes: usize) -> Vec<u8> {
    // (local.set 0 (i32.add (i32.mul (local.get 0) (local.get 0)) (i32.const 7))), often.
    let step = [0x20, 0, 0x20, 0, 0x6c, 0x41, 7, 0x6a, 0x21, 0];
    let body = [vec![1, 1, 0x7f], step.repeat(400), vec![0x0b]].concat();
    let body = [leb(body.len()), body].concat();
    let functions = (mebibytes << 20).div_ceil(body.len());
    let kinds = [leb(functions), vec![0; functions]].concat();
    let code = [leb(functions), body.repeat(functions)].concat();
    let header = b"\0asm\x01\0\0\0".to_vec();
    let module = [header, section(1, &[1, 0x60, 0, 0]), section(3, &kinds), section(10, &code)].concat();
    [component, section(1, &module)].concat()
}

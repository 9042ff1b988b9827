//! What a call of the DingTalk plugin costs: `cargo xtask bench --bench call`.
//!
//! The same code four times: as a native library, in one instance that serves every call, and in an instance of its own for each call, as the host
//! makes it, from the pool or with memory taken from the system. They run in turn, so that a machine that is busy with other things slows all of
//! them; shown are medians over the rounds with the fifth and the ninety-fifth hundredth.

mod reused;
mod samples;

use std::hint::black_box;
use std::time::{Duration, Instant};

use incident_sink::plugin::{Engine, EngineOptions, Limits, Plugin, Registry, wit};
use incident_sink_dingtalk::Plugin as Native;
use incident_sink_dingtalk::contract::signer::Guest as _;
use incident_sink_dingtalk::contract::sink::Guest as _;

use self::reused::Reused;
use self::samples::{NOW, host, native, secrets};

/// As in the program.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Rounds that each case gets.
const ROUNDS: usize = 80;
/// Calls in a round.
const CALLS: u32 = 50;
/// A measurement of throughput.
const SPAN: Duration = Duration::from_millis(500);

type Failed = Box<dyn std::error::Error>;

/// Runs a round; answers the time of all its calls.
type Round<'a> = Box<dyn FnMut() -> Duration + 'a>;

fn main() -> Result<(), Failed> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/plugins/dingtalk.wasm");
    let bytes = std::fs::read(path).map_err(|error| format!("{path}: {error}; run `cargo xtask build-plugins` first"))?;
    let engine = Engine::new(EngineOptions::default())?;
    let limits = Limits::default();
    let mut loads: Vec<f64> = Vec::new();
    for _ in 0..7 {
        let start = Instant::now();
        black_box(Plugin::load(&engine, &bytes, &limits)?);
        loads.push(start.elapsed().as_secs_f64() * 1e3);
    }
    let [low, median, high] = quantiles(loads);
    println!("component of {} bytes: compiled, checked and described in {median:.0} ms ({low:.0} to {high:.0})", bytes.len());

    let plugin = Plugin::load(&engine, &bytes, &limits)?;
    let on_demand = Plugin::load(&Engine::new(EngineOptions { on_demand: true, ..EngineOptions::default() })?, &bytes, &limits)?;
    println!("pool: {}", engine.is_pooled());
    println!("us a call   {:>22} {:>22} {:>22} {:>22}  fresh/native", "native", "reused instance", "fresh instance", "fresh, on demand");
    for case in ["sign", "resume", "begin", "begin 256"] {
        row(case, &plugin, &on_demand, &bytes)?;
    }
    scaling(&plugin)?;
    let registry = Registry::default();
    registry.swap("bench", plugin);
    let start = Instant::now();
    (0..100_000).for_each(|_| drop(black_box(registry.current("bench"))));
    println!("registry look-up: {:.0} ns", start.elapsed().as_secs_f64() * 1e4);
    Ok(())
}

/// One function, the four ways in turn.
fn row(case: &str, plugin: &Plugin, on_demand: &Plugin, bytes: &[u8]) -> Result<(), Failed> {
    let mut ways: [Round<'_>; 4] = [natively(case), reused(case, Reused::new(bytes)?), fresh(case, plugin), fresh(case, on_demand)];
    let mut times: [Vec<f64>; 4] = Default::default();
    for round in 0..ROUNDS + 3 {
        for (way, times) in ways.iter_mut().zip(&mut times) {
            let time = way().as_secs_f64() * 1e6 / f64::from(CALLS);
            // The first rounds warm up.
            if round >= 3 {
                times.push(time);
            }
        }
    }
    let shown = times.map(quantiles);
    let cell = |[low, median, high]: [f64; 3]| format!("{median:>8.2} ({low:.2}-{high:.2})");
    let cells: Vec<String> = shown.iter().map(|times| format!("{:>22}", cell(*times))).collect();
    println!("{case:<11} {}  {:.1}", cells.join(" "), shown[2][1] / shown[0][1]);
    Ok(())
}

/// What a round of timed calls took; what they need is made before, what they answer is dropped after.
fn timed<A, R>(args: Vec<A>, mut call: impl FnMut(A) -> R) -> Duration {
    let mut answers = Vec::with_capacity(args.len());
    let start = Instant::now();
    for args in args {
        answers.push(black_box(call(args)));
    }
    start.elapsed()
}

fn batch_of(case: &str) -> usize {
    if case == "begin 256" { 256 } else { 1 }
}

fn natively(case: &str) -> Round<'static> {
    let size = batch_of(case);
    match case {
        "sign" => Box::new(|| {
            timed(vec![(secrets(), native::outline()); CALLS as usize], |(secrets, outline)| Native::sign(secrets, outline, NOW))
        }),
        "resume" => Box::new(|| {
            let args = vec![("{}".to_owned(), b"sent/1".to_vec(), native::answer(), native::context()); CALLS as usize];
            timed(args, |(config, continuation, answer, cx)| Native::resume(config, continuation, answer, cx))
        }),
        _ => Box::new(move || {
            let args = vec![("{}".to_owned(), vec![native::event(); size], native::context()); CALLS as usize];
            timed(args, |(config, batch, cx)| Native::begin(config, batch, cx))
        }),
    }
}

/// Arguments that live as long as the program: one set a case.
struct Args {
    secrets: &'static [(String, String)],
    outline: &'static wit::Outline,
    batch: &'static [wit::Event],
    answer: &'static wit::Response,
    cx: &'static wit::Context,
}

impl Args {
    fn new(case: &str) -> Args {
        Args {
            secrets: secrets().leak(),
            outline: Box::leak(Box::new(host::outline())),
            batch: vec![host::event(); batch_of(case)].leak(),
            answer: Box::leak(Box::new(host::answer())),
            cx: Box::leak(Box::new(host::context())),
        }
    }
}

fn reused(case: &str, mut instance: Reused) -> Round<'static> {
    let args = Args::new(case);
    let calls = || vec![(); CALLS as usize];
    match case {
        "sign" => Box::new(move || timed(calls(), |()| instance.sign(args.secrets, args.outline, NOW).expect("it signs"))),
        "resume" => Box::new(move || timed(calls(), |()| instance.resume(b"sent/1", args.answer, args.cx).expect("it reads"))),
        _ => Box::new(move || timed(calls(), |()| instance.begin(args.batch, args.cx).expect("it writes"))),
    }
}

fn fresh<'a>(case: &str, plugin: &'a Plugin) -> Round<'a> {
    let args = Args::new(case);
    let calls = || vec![(); CALLS as usize];
    match case {
        "sign" => Box::new(move || timed(calls(), |()| plugin.sign(args.secrets, args.outline, NOW).expect("it signs"))),
        "resume" => Box::new(move || timed(calls(), |()| plugin.resume("{}", b"sent/1", args.answer, args.cx).expect("it reads"))),
        _ => Box::new(move || timed(calls(), |()| plugin.begin("{}", args.batch, args.cx).expect("it writes"))),
    }
}

/// Two threads against one, in turn; the native code beside it shows what the machine has to give meanwhile.
fn scaling(plugin: &Plugin) -> Result<(), Failed> {
    let args = Args::new("sign");
    let sign = || drop(black_box(plugin.sign(args.secrets, args.outline, NOW)));
    let begin = || drop(black_box(plugin.begin("{}", args.batch, args.cx)));
    let alone = || drop(black_box(Native::sign(secrets(), native::outline(), NOW)));
    let cases: [(&str, &(dyn Fn() + Sync)); 3] = [("sign", &sign), ("begin", &begin), ("native sign", &alone)];
    for (name, call) in cases {
        let (mut one, mut ratios) = (Vec::new(), Vec::new());
        for _ in 0..7 {
            let (first, second) = (throughput(1, call), throughput(2, call));
            one.push(first);
            ratios.push(second / first);
        }
        let ([_, one, _], [low, ratio, high]) = (quantiles(one), quantiles(ratios));
        println!("{name}: {one:.0} calls/s on one thread, {ratio:.2} times as many on two ({low:.2} to {high:.2})");
    }
    Ok(())
}

/// Calls in a second, all threads together.
fn throughput(threads: usize, call: &(dyn Fn() + Sync)) -> f64 {
    let end = Instant::now() + SPAN;
    let count = || {
        let mut calls = 0_u32;
        while Instant::now() < end {
            (0..10).for_each(|_| call());
            calls += 10;
        }
        f64::from(calls)
    };
    let total: f64 = std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(count)).collect();
        running.into_iter().map(|thread| thread.join().expect("a counting thread does not panic")).sum()
    });
    total / SPAN.as_secs_f64()
}

/// The fifth hundredth, the median and the ninety-fifth hundredth.
fn quantiles(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [5, 50, 95].map(|percent| values[(values.len() - 1) * percent / 100])
}

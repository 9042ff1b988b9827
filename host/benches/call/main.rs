//! What a call of the DingTalk plugin costs: `cargo xtask bench call`.
//!
//! The same code four times: as a native library, in one instance that serves every call, and in an instance of its own for each call, as the host
//! makes it, from the pool or with memory taken from the system. They run in turn, so that a machine that is busy with other things slows all of
//! them; shown are medians over the rounds with the fifth and the ninety-fifth hundredth.
//!
//! `-- native begin` (or `fresh`, `sign`, `resume`) makes ten thousand calls and nothing else, for callgrind and perf.

mod reused;
mod samples;
#[path = "../whole/table.rs"]
mod table;

use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use incident_sink::plugin::{Engine, EngineOptions, Limits, Plugin, Registry, wit};
use incident_sink_dingtalk::Plugin as Native;
use incident_sink_dingtalk::contract::signer::Guest as _;
use incident_sink_dingtalk::contract::sink::Guest as _;

use self::reused::Reused;
use self::samples::{NOW, host, native, secrets};
use self::table::{Compared, Goal, Table, median, quantile};

/// What the short form is held against.
const KEPT: &str = include_str!("short.toml");
/// Rounds that each case gets.
const ROUNDS: usize = 80;
/// Calls in a round.
const CALLS: u32 = 50;
/// A measurement of throughput.
const SPAN: Duration = Duration::from_millis(500);

type Failed = Box<dyn std::error::Error>;

/// Runs a round; answers the time of all its calls.
type Round<'a> = Box<dyn FnMut() -> Duration + 'a>;

fn main() -> Result<ExitCode, Failed> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/plugins/dingtalk.wasm");
    let bytes = std::fs::read(path).map_err(|error| format!("{path}: {error}; run `cargo xtask build-plugins` first"))?;
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    if let [way, case] = &args[..] {
        return profiled(way, case, &bytes).map(|()| ExitCode::SUCCESS);
    }
    let short = args.iter().any(|arg| arg == "--short");
    let table = measure(&bytes, short)?;
    if !short || table.holds(KEPT)? {
        return Ok(ExitCode::SUCCESS);
    }
    println!("once more, since something else may have been busy on this machine:");
    Ok(if measure(&bytes, short)?.holds(KEPT)? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Nothing but ten thousand calls, for a profiler: `native CASE` or `fresh CASE`.
fn profiled(way: &str, case: &str, bytes: &[u8]) -> Result<(), Failed> {
    let plugin;
    let mut round = match way {
        "native" => natively(case),
        "fresh" => {
            plugin = Plugin::load(&Engine::new(EngineOptions::default())?, bytes, &Limits::default())?;
            fresh(case, &plugin)
        }
        _ => return Err(format!("`{way}` is neither `native` nor `fresh`").into()),
    };
    (0..10_000 / CALLS).for_each(|_| _ = black_box(round()));
    Ok(())
}

/// All lines; the short form keeps to the calls.
fn measure(bytes: &[u8], short: bool) -> Result<Table, Failed> {
    let mut table = Table::default();
    let engine = Engine::new(EngineOptions::default())?;
    if !short {
        compiling(&engine, bytes, &mut table)?;
    }
    let plugin = Plugin::load(&engine, bytes, &Limits::default())?;
    let on_demand = Plugin::load(&Engine::new(EngineOptions { on_demand: true, ..EngineOptions::default() })?, bytes, &Limits::default())?;
    println!("pool: {}", engine.is_pooled());
    println!("us a call   {:>22} {:>22} {:>22} {:>22}  fresh/native", "native", "reused instance", "fresh instance", "fresh, on demand");
    let rounds = if short { ROUNDS / 4 } else { ROUNDS };
    let mut cases = Vec::new();
    for case in ["begin", "sign", "resume", "begin 256"] {
        cases.push(row(case, rounds, &plugin, &on_demand, bytes)?);
    }
    compared(&cases, &mut table);
    if !short {
        let apart = Plugin::load(&Engine::new(EngineOptions::default())?, bytes, &Limits::default())?;
        scaling([&plugin, &apart], &mut table)?;
        look_up(plugin);
    }
    Ok(table)
}

/// From the component's bytes to a plugin that can be called.
fn compiling(engine: &Engine, bytes: &[u8], table: &mut Table) -> Result<(), Failed> {
    let mut loads = Vec::new();
    for _ in 0..7 {
        let start = Instant::now();
        black_box(Plugin::load(engine, bytes, &Limits::default())?);
        loads.push(start.elapsed().as_secs_f64() * 1e3);
    }
    let figures =
        format!("{:.0} ms ({:.0}–{:.0}), {} KiB", median(&loads), quantile(&loads, 0.0), quantile(&loads, 1.0), bytes.len() / 1024);
    table.figures("component compiled, checked and described", &figures, "≤ 100 ms", Some(median(&loads) <= 100.0));
    Ok(())
}

/// Microseconds of a call, a value a round: natively and in an instance of its own.
struct Case {
    native: Vec<f64>,
    fresh: Vec<f64>,
}

/// The lines of the table: what one delivery takes, and its parts.
fn compared(cases: &[Case], table: &mut Table) {
    let [begin, sign, resume, digest] = cases else { return };
    let sum = |of: fn(&Case) -> &[f64]| -> Vec<f64> {
        of(begin).iter().zip(of(sign)).zip(of(resume)).map(|((begin, sign), resume)| begin + sign + resume).collect()
    };
    let (native, fresh) = (sum(|case| &case.native), sum(|case| &case.fresh));
    let mut line = |name, what, ours: &[f64], other: &[f64], goals: &[Goal]| {
        table.compare(&Compared { name, less: true, what, unit: "µs", ours, against: "the same code native", other, goals });
    };
    line(
        "call-delivery",
        "one delivery's three isolated calls: begin, sign, resume",
        &fresh,
        &native,
        &[Goal::Ours(36.0), Goal::AtMost(8.0)],
    );
    line("call-begin", "render only: `begin` with one event", &begin.fresh, &begin.native, &[Goal::Ours(12.0), Goal::AtMost(8.0)]);
    line("call-sign", "sign only", &sign.fresh, &sign.native, &[Goal::Ours(12.0), Goal::AtMost(8.0)]);
    line("call-resume", "read the answer: `resume`", &resume.fresh, &resume.native, &[Goal::Ours(12.0), Goal::AtMost(8.0)]);
    line("call-digest", "a digest of 256 events", &digest.fresh, &digest.native, &[Goal::AtMost(8.0)]);
}

/// How the host finds the plugin of a connector.
fn look_up(plugin: Plugin) {
    let registry = Registry::default();
    registry.swap("bench", plugin);
    let start = Instant::now();
    (0..100_000).for_each(|_| drop(black_box(registry.current("bench"))));
    println!("registry look-up: {:.0} ns", start.elapsed().as_secs_f64() * 1e4);
}

/// One function, the four ways in turn.
fn row(case: &str, rounds: usize, plugin: &Plugin, on_demand: &Plugin, bytes: &[u8]) -> Result<Case, Failed> {
    let mut ways: [Round<'_>; 4] = [natively(case), reused(case, Reused::new(bytes)?), fresh(case, plugin), fresh(case, on_demand)];
    let mut times: [Vec<f64>; 4] = Default::default();
    for round in 0..rounds + 3 {
        for (way, times) in ways.iter_mut().zip(&mut times) {
            let time = way().as_secs_f64() * 1e6 / f64::from(CALLS);
            // The first rounds warm up.
            if round >= 3 {
                times.push(time);
            }
        }
    }
    let cell = |times: &Vec<f64>| format!("{:>8.2} ({:.2}-{:.2})", median(times), quantile(times, 0.05), quantile(times, 0.95));
    let cells: Vec<String> = times.iter().map(|times| format!("{:>22}", cell(times))).collect();
    println!("{case:<11} {}  {:.1}", cells.join(" "), median(&times[2]) / median(&times[0]));
    let [native, _, fresh, _] = times;
    Ok(Case { native, fresh })
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

/// What two threads do, each by its number, in words, and what it is to reach.
type Threaded<'a> = (&'a str, &'a (dyn Fn(usize) + Sync), &'static [Goal]);

/// Two threads against one, in turn. The native code beside it shows what the machine has to give meanwhile, and an engine for each thread what they cost
/// each other by sharing one. `plugins` are the same in two engines.
fn scaling(plugins: [&Plugin; 2], table: &mut Table) -> Result<(), Failed> {
    let args = Args::new("sign");
    let signed = |plugin: &Plugin| drop(black_box(plugin.sign(args.secrets, args.outline, NOW)));
    let begun = |plugin: &Plugin| drop(black_box(plugin.begin("{}", args.batch, args.cx)));
    let cases: [Threaded<'_>; 5] = [
        ("`sign`, fresh instances, two threads", &|_| signed(plugins[0]), &[Goal::AtLeast(1.8)]),
        ("`begin`, fresh instances, two threads", &|_| begun(plugins[0]), &[Goal::AtLeast(1.8)]),
        ("`sign`, two threads with an engine each", &|thread| signed(plugins[thread]), &[]),
        ("`begin`, two threads with an engine each", &|thread| begun(plugins[thread]), &[]),
        ("`sign` native, two threads: what the machine gives", &|_| drop(black_box(Native::sign(secrets(), native::outline(), NOW))), &[]),
    ];
    for (what, call, goals) in cases {
        let (mut one, mut two) = (Vec::new(), Vec::new());
        for _ in 0..7 {
            one.push(throughput(1, call));
            two.push(throughput(2, call));
        }
        table.compare(&Compared {
            name: "call-threads",
            less: false,
            what,
            unit: "calls/s",
            ours: &two,
            against: "one thread",
            other: &one,
            goals,
        });
    }
    Ok(())
}

/// Calls in a second, all threads together.
fn throughput(threads: usize, call: &(dyn Fn(usize) + Sync)) -> f64 {
    let end = Instant::now() + SPAN;
    let count = |thread| {
        let mut calls = 0_u32;
        while Instant::now() < end {
            (0..10).for_each(|_| call(thread));
            calls += 10;
        }
        f64::from(calls)
    };
    let total: f64 = std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|thread| scope.spawn(move || count(thread))).collect();
        running.into_iter().map(|thread| thread.join().expect("a counting thread does not panic")).sum()
    });
    total / SPAN.as_secs_f64()
}

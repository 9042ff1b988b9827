//! Logs: text or JSON on standard error, at a level that can be changed while the host runs, and without secrets.
//!
//! Sentences are capitalised and end with a period; what varies is in fields; an error is in the field `error`. Every line passes a
//! [`Redactor`] on its way out, so that a credential that some library puts into a message does not get out either.

mod credential;
pub mod metrics;
pub mod process;
pub mod redact;
pub mod traces;

use std::io::{self, IsTerminal, Write};

use tracing::Subscriber;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, reload};

pub use redact::Redactor;

use crate::config::{Log, LogFormat};

/// Why there are no logs as asked for.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// `RUST_LOG` or the config's `log.level` is no list of directives.
    #[error("{origin} is no log level: {error}")]
    Level {
        /// Which of the two.
        origin: &'static str,
        /// What is wrong with it.
        error: tracing_subscriber::filter::ParseError,
    },
    /// The program has a subscriber already.
    #[error("logs are set up already: {0}")]
    Taken(#[from] tracing_subscriber::util::TryInitError),
    /// The subscriber that was set up is gone.
    #[error("the log level cannot be changed: {0}")]
    Gone(#[from] reload::Error),
}

/// Changes the level of logs that are set up.
#[derive(Clone, Debug)]
pub struct LogControl {
    filter: reload::Handle<EnvFilter, Registry>,
}

/// The logs of a host: what follows a config that is read anew.
#[derive(Clone, Debug)]
pub struct Logs {
    /// Changes the level.
    pub control: LogControl,
    /// Keeps secrets out.
    pub redactor: Redactor,
}

impl LogControl {
    /// Takes the level of a config that was read anew. `RUST_LOG` still has precedence.
    pub fn apply(&self, log: &Log) -> Result<(), TelemetryError> {
        Ok(self.filter.reload(filter(log, rust_log().as_deref())?)?)
    }
}

/// Sets logs up for the whole process, once.
pub fn init(log: &Log, redactor: &Redactor) -> Result<LogControl, TelemetryError> {
    let color = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let (subscriber, control) = subscriber(log, rust_log().as_deref(), color, redactor, io::stderr)?;
    subscriber.try_init()?;
    Ok(control)
}

fn rust_log() -> Option<String> {
    std::env::var(EnvFilter::DEFAULT_ENV).ok().filter(|level| !level.trim().is_empty())
}

fn filter(log: &Log, rust_log: Option<&str>) -> Result<EnvFilter, TelemetryError> {
    let (origin, level) = match rust_log {
        Some(level) => (EnvFilter::DEFAULT_ENV, level.to_owned()),
        // What these tell of is told by the outbox too, in its own words.
        None => ("log.level", format!("deadpool=off,tokio_postgres=error,{}", log.level)),
    };
    EnvFilter::builder().parse(&level).map_err(|error| TelemetryError::Level { origin, error })
}

fn subscriber<W>(
    log: &Log,
    rust_log: Option<&str>,
    color: bool,
    redactor: &Redactor,
    writer: W,
) -> Result<(impl Subscriber + Send + Sync + 'static, LogControl), TelemetryError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let (filter, handle) = reload::Layer::new(filter(log, rust_log)?);
    let layer = tracing_subscriber::fmt::layer().with_writer(Redacting { redactor: redactor.clone(), writer });
    let lines = match log.format {
        LogFormat::Text => layer.with_ansi(color).boxed(),
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
    };
    Ok((Registry::default().with(filter).with(lines), LogControl { filter: handle }))
}

/// Makes writers that redact.
struct Redacting<W> {
    redactor: Redactor,
    writer: W,
}

impl<'w, W: MakeWriter<'w>> MakeWriter<'w> for Redacting<W> {
    type Writer = RedactingWriter<W::Writer>;

    fn make_writer(&'w self) -> Self::Writer {
        RedactingWriter { redactor: self.redactor.clone(), inner: self.writer.make_writer() }
    }

    fn make_writer_for(&'w self, meta: &tracing::Metadata<'_>) -> Self::Writer {
        RedactingWriter { redactor: self.redactor.clone(), inner: self.writer.make_writer_for(meta) }
    }
}

/// Redacts what is written. `tracing-subscriber` hands a line over whole, so that no secret is split between two writes.
struct RedactingWriter<W> {
    redactor: Redactor,
    inner: W,
}

impl<W: Write> Write for RedactingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        self.inner.write_all(self.redactor.redact(&text).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::secret::Secret;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Lines {
        fn take(&self) -> String {
            String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap()
        }
    }

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn log(format: LogFormat, level: &str) -> Log {
        Log { format, level: level.to_owned() }
    }

    #[test]
    fn a_secret_is_in_no_line_of_either_format() {
        for format in [LogFormat::Text, LogFormat::Json] {
            let redactor = Redactor::default();
            redactor.set(&[Secret::new("pass\"word\\1")]);
            let lines = Lines::default();
            let copy = lines.clone();
            let (subscriber, _control) = subscriber(&log(format, "info"), None, false, &redactor, move || copy.clone()).unwrap();
            tracing::subscriber::with_default(subscriber, || {
                tracing::info!(password = "pass\"word\\1", url = "https://x.example/?access_token=abc123&a=b", "Sent as pass\"word\\1.");
                tracing::info!(error = %"no route to https://me:abc123@x.example/", "Message was not sent.");
            });
            let text = lines.take();
            assert!(text.contains("Message was not sent.") && text.contains("a=b"), "{text}");
            assert!(!text.contains("word\\"), "{text}");
            assert!(!text.contains("abc123"), "{text}");
            if format == LogFormat::Json {
                assert!(text.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()), "{text}");
            }
        }
    }

    #[test]
    fn the_level_changes_while_the_host_runs() {
        let lines = Lines::default();
        let copy = lines.clone();
        let (subscriber, control) =
            subscriber(&log(LogFormat::Text, "warn"), None, false, &Redactor::default(), move || copy.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!("Unseen.");
            control.apply(&log(LogFormat::Text, "info")).unwrap();
            tracing::info!("Seen.");
        });
        let text = lines.take();
        assert!(text.contains("Seen.") && !text.contains("Unseen."), "{text}");
    }

    #[test]
    fn the_environment_has_precedence_and_errors_say_where_they_are_from() {
        assert_eq!(filter(&log(LogFormat::Text, "info"), Some("debug")).unwrap().to_string(), "debug");
        let error = filter(&log(LogFormat::Text, "a=b=c"), None).unwrap_err().to_string();
        assert!(error.starts_with("log.level is no log level: "), "{error}");
    }
}

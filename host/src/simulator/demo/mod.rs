//! The demo: simulators and a host on loopback, a story of real events, the chat as people would see it.
//!
//! Nothing in it is made up for show: the events go over HTTP to the host's webhook, the messages over HTTP to a group that checks every
//! signature, and the last line is counted from the outbox.

mod people;
mod stage;
mod story;

use std::path::PathBuf;
use std::time::Duration;

use jiff::tz::TimeZone;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use self::stage::Stage;
use super::dingtalk::Shown;
use super::{svg, terminal};

/// How a demo is run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The component.
    pub plugin: PathBuf,
    /// How many times as fast the clocks run; a minute of the receiver's limit passes in 60 s divided by this.
    pub speed: u32,
    /// Colours and bold.
    pub colour: bool,
    /// Where to write the conversation as a picture.
    pub svg: Option<PathBuf>,
    /// How many events the storm has.
    pub storm: usize,
}

/// What a demo came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Total {
    /// Events that the host answered for.
    pub events: usize,
    /// Messages that people see.
    pub messages: usize,
    /// Deliveries that became dead letters, each with its reason.
    pub dead: usize,
    /// Deliveries that are nowhere.
    pub lost: usize,
}

/// Longer than this nothing takes, unless something is wrong.
const PATIENCE: Duration = Duration::from_secs(240);

/// Runs it; `say` prints a line.
pub async fn run(options: &Options, say: &(dyn Fn(&str) + Sync)) -> Result<Total, String> {
    let stage = Stage::set(options).await?;
    say(&format!(
        "A host listens on {}, a DingTalk group on {}. The clocks run {} times as fast.\n",
        stage.webhook(),
        stage.group().addr(),
        options.speed
    ));
    let mut messages = stage.group().subscribe();
    let told = tokio::time::timeout(PATIENCE, tell(&stage, options, &mut messages, say)).await;
    told.map_err(|_| format!("the demo did not end within {} s", PATIENCE.as_secs()))??;
    if let Some(file) = &options.svg {
        let picture = svg::Picture { group: "Ops · 运维".to_owned(), zone: zone() };
        let conversation: Vec<Shown> = stage.group().conversation().into_iter().filter(story::is_for_the_picture).collect();
        std::fs::write(file, svg::draw(&conversation, &picture)).map_err(|error| format!("{}: {error}", file.display()))?;
        say(&format!("The conversation is in {}.", file.display()));
    }
    stage.end().await
}

async fn tell(
    stage: &Stage,
    options: &Options,
    messages: &mut broadcast::Receiver<std::sync::Arc<Shown>>,
    say: &(dyn Fn(&str) + Sync),
) -> Result<(), String> {
    for chapter in story::chapters(options.storm, stage.now()) {
        say(&heading(chapter.title, options.colour));
        for line in stage.perform(&chapter.deed).await? {
            say(&line);
        }
        say("");
        draw_until_quiet(stage, options, messages, say, chapter.cards).await?;
        if let Some(words) = stage.newest_dead_letter().await? {
            say(&format!("Dead letter: {words}\n"));
        }
    }
    Ok(())
}

/// Draws what arrives until the host has nothing left to deliver; of many cards only the first and the last ones.
async fn draw_until_quiet(
    stage: &Stage,
    options: &Options,
    messages: &mut broadcast::Receiver<std::sync::Arc<Shown>>,
    say: &(dyn Fn(&str) + Sync),
    cards: usize,
) -> Result<(), String> {
    let look = terminal::Look { width: 72, colour: options.colour, zone: zone() };
    let (mut drawn, mut skipped) = (0, 0);
    let mut draw = |shown: &Shown| {
        if drawn < cards {
            drawn += 1;
            say(&terminal::draw(shown, &look));
        } else {
            skipped += 1;
        }
    };
    loop {
        tokio::select! {
            biased;
            shown = messages.recv() => match shown {
                Ok(shown) => draw(&shown),
                Err(RecvError::Lagged(missed)) => return Err(format!("{missed} messages came too quickly to be drawn")),
                Err(RecvError::Closed) => return Err("the group is gone".to_owned()),
            },
            () = stage.quiet() => break,
        }
    }
    while let Ok(shown) = messages.try_recv() {
        draw(&shown);
    }
    if skipped > 0 {
        say(&format!("… and {skipped} more messages like these.\n"));
    }
    Ok(())
}

fn heading(title: &str, colour: bool) -> String {
    if colour { format!("\u{1b}[1m── {title}\u{1b}[0m") } else { format!("── {title}") }
}

fn zone() -> TimeZone {
    TimeZone::get("Asia/Shanghai").unwrap_or(TimeZone::UTC)
}

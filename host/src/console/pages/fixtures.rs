//! Events to play with: one to begin with, and payloads as iLert has sent them over the years.

/// One of them.
pub(super) struct Fixture {
    pub(super) name: &'static str,
    pub(super) body: &'static str,
}

macro_rules! fixtures {
    ($($name:literal),* $(,)?) => {
        &[
            Fixture { name: "example", body: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/console/example.json")) },
            $(Fixture { name: $name, body: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/ilert/", $name, ".json")) }),*
        ]
    };
}

/// All of them; those of iLert in the order of an incident's life.
pub(super) const FIXTURES: &[Fixture] = fixtures![
    "2026-created-rich",
    "2025-created",
    "2021-created",
    "2023-auto-escalated",
    "2021-assigned",
    "2021-acknowledged",
    "2021-raised",
    "2021-comment-added",
    "2021-resolved",
    "2021-auto-resolved",
    "2026-not-resolved",
    "2026-unknown-kind",
    "2021-eventbridge-wrapped",
    "2019-acknowledged",
];

/// One by its name.
pub(super) fn find(name: &str) -> Option<&'static Fixture> {
    FIXTURES.iter().find(|fixture| fixture.name == name)
}

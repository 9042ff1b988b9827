//! What differs between two configs. Pure.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::{Diff, Reloaded};
use crate::config::{Document, LogFormat};
use crate::host::{Plan, respond};

/// What a host cannot change while it runs, as it was at the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::host) struct Fixed {
    server: SocketAddr,
    admin: SocketAddr,
    outbox: [u8; 32],
    format: LogFormat,
}

impl Fixed {
    pub(in crate::host) fn of(plan: &Plan) -> Fixed {
        let settings = &plan.settings;
        Fixed {
            server: settings.server.listen,
            admin: settings.admin.listen,
            outbox: plan.document.section_digest(&["outbox"]),
            format: settings.log.format,
        }
    }

    /// The settings that are other than at the start.
    fn waiting(&self, plan: &Plan) -> Vec<&'static str> {
        let now = Fixed::of(plan);
        let differ = [
            (self.server != now.server, "server.listen"),
            (self.admin != now.admin, "admin.listen"),
            (self.outbox != now.outbox, "outbox"),
            (self.format != now.format, "log.format"),
        ];
        differ.into_iter().filter(|(differs, _)| *differs).map(|(_, name)| name).collect()
    }
}

/// What differs.
#[derive(Clone, Debug, Default)]
pub(in crate::host) struct Changes {
    pub(in crate::host) connectors: Diff,
    pub(in crate::host) sources: Diff,
    pub(in crate::host) plugins: Diff,
    /// Links, pages, the API's keys.
    pub(in crate::host) responding: bool,
    pub(in crate::host) tls: bool,
    pub(in crate::host) traces: bool,
    settings: Vec<&'static str>,
    needs_restart: Vec<&'static str>,
}

impl Changes {
    pub(in crate::host) fn between(old: &Plan, new: &Plan, fixed: &Fixed) -> Changes {
        let section = |path: &[&str]| old.document.section_digest(path) != new.document.section_digest(path);
        let (before, now) = (&old.settings, &new.settings);
        let tls = before.server.tls != now.server.tls;
        let public_url = before.server.public_url != now.server.public_url;
        let (ilert, languages) = (section(&["ilert"]), respond::languages(old) != respond::languages(new));
        let traces = section(&["otlp"]);
        let settings = [
            (section(&["actions"]), "actions"),
            (public_url, "server.public_url"),
            (tls, "server.tls"),
            (before.server.grace != now.server.grace, "server.grace"),
            (section(&["admin", "token"]), "admin.token"),
            (ilert, "ilert"),
            (before.log.level != now.log.level, "log.level"),
            (traces, "otlp"),
        ];
        Changes {
            connectors: sections(&old.document, &new.document, "connectors"),
            sources: sections(&old.document, &new.document, "sources"),
            plugins: maps(&old.plugins, &new.plugins),
            responding: ilert || public_url || languages,
            tls,
            traces,
            settings: settings.into_iter().filter(|(differs, _)| *differs).map(|(_, name)| name).collect(),
            needs_restart: fixed.waiting(new),
        }
    }

    /// Whether there is anything to do.
    pub(in crate::host) fn is_empty(&self) -> bool {
        self.connectors.is_empty() && self.sources.is_empty() && self.plugins.is_empty() && self.settings.is_empty()
    }

    pub(in crate::host) fn report(self, warnings: Vec<String>) -> Reloaded {
        let changed = !self.is_empty();
        let Changes { connectors, sources, plugins, settings, needs_restart, .. } = self;
        Reloaded { changed, connectors, sources, plugins, settings, needs_restart, warnings }
    }
}

/// The tables of a section that differ.
fn sections(old: &Document, new: &Document, section: &str) -> Diff {
    let digests = |document: &Document| -> BTreeMap<String, [u8; 32]> {
        document.keys(&[section]).into_iter().map(|name| (name.clone(), document.section_digest(&[section, &name]))).collect()
    };
    maps(&digests(old), &digests(new))
}

fn maps<T: PartialEq>(old: &BTreeMap<String, T>, new: &BTreeMap<String, T>) -> Diff {
    let of = |names: &mut dyn Iterator<Item = &String>| names.cloned().collect();
    Diff {
        added: of(&mut new.keys().filter(|name| !old.contains_key(*name))),
        changed: of(&mut new.iter().filter(|(name, value)| old.get(*name).is_some_and(|old| old != *value)).map(|(name, _)| name)),
        removed: of(&mut old.keys().filter(|name| !new.contains_key(*name))),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Format;

    const BASE: &str = "[sources.a]\ntype = \"ilert_webhook\"\n[plugins.x]\npath = \"x.wasm\"\n\
        [connectors.one]\ntype = \"x\"\nurl = \"https://x.example/1\"\nsecret = \"s1\"\n\
        [connectors.two]\ntype = \"x\"\nurl = \"https://x.example/2\"\n[[actions]]\nconnector = \"one\"\n";

    fn plan(text: &str) -> Plan {
        let document = Document::parse(text, Format::Toml, "a.toml", Path::new("."), &|_| None).unwrap();
        Plan::read(document).unwrap_or_else(|errors| panic!("{errors}"))
    }

    fn changes(new: &str) -> Changes {
        let old = plan(BASE);
        Changes::between(&old, &plan(new), &Fixed::of(&old))
    }

    #[test]
    fn a_config_whose_keys_stand_elsewhere_has_not_changed() {
        let (head, tail) = BASE.split_once("[connectors.one]").unwrap();
        let (one, rest) = tail.split_once("[connectors.two]").unwrap();
        let (two, actions) = rest.split_once("[[actions]]").unwrap();
        let turned = format!("# other\n[connectors.two]{two}[[actions]]{actions}{head}[connectors.one]{one}");
        assert!(changes(&turned).is_empty() && changes(&turned).report(Vec::new()) == Reloaded::default());
    }

    #[test]
    fn only_what_differs_is_named() {
        let found = changes(&BASE.replace("s1", "s2"));
        assert_eq!((found.connectors.changed, found.settings), (vec!["one".to_owned()], vec![]));
        let found = changes(&format!("{BASE}[connectors.three]\ntype = \"x\"\nurl = \"https://x.example/3\"\n[log]\nlevel = \"debug\"\n"));
        assert_eq!((found.connectors.added, found.settings), (vec!["three".to_owned()], vec!["log.level"]));
        let found = changes(&BASE.replace("connector = \"one\"", "connector = \"two\""));
        assert_eq!((found.connectors, found.settings), (Diff::default(), vec!["actions"]));
        let found = changes(&BASE.replace("x.wasm", "y.wasm"));
        assert_eq!((found.plugins.changed, found.sources), (vec!["x".to_owned()], Diff::default()));
    }

    #[test]
    fn what_needs_a_restart_is_named_until_it_is_as_at_the_start() {
        let text = format!(
            "{BASE}[server]\nlisten = \"127.0.0.1:9\"\n[outbox]\ntype = \"sqlite\"\npath = \"other.db\"\n[log]\nformat = \"json\"\n"
        );
        let (first, second) = (plan(BASE), plan(&text));
        let fixed = Fixed::of(&first);
        let found = Changes::between(&first, &second, &fixed);
        assert!(found.is_empty());
        assert_eq!(found.needs_restart, ["server.listen", "outbox", "log.format"]);
        assert_eq!(Changes::between(&second, &second, &fixed).needs_restart.len(), 3);
        assert!(Changes::between(&second, &first, &fixed).needs_restart.is_empty());
    }
}

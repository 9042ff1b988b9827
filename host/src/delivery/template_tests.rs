//! Tests of templates.

use proptest::prelude::*;

use super::*;

fn markup(text: &str) -> Part {
    Part::Markup(text.into())
}

fn text(text: &str) -> Part {
    Part::Text(text.into())
}

fn render(source: &str, summary: &str) -> Vec<Part> {
    let mut sample = variables::sample_full();
    Arc::make_mut(&mut sample.event).summary = summary.into();
    Template::shared(source).unwrap().render(sample).unwrap()
}

fn error(source: &str) -> String {
    Template::shared(source).unwrap_err().to_string()
}

#[test]
fn the_authors_words_are_markup_and_the_events_are_text() {
    assert_eq!(render("**{{ alertSummary }}** (now)", "a*b"), [markup("**"), text("a*b"), markup("** (now)")]);
}

#[test]
fn both_generations_of_ilerts_names_work() {
    assert_eq!(render("{{ incidentSummary }}", "x"), render("{{ alertSummary }}", "x"));
    assert_eq!(render("{{ eventType }} {{ alertPriority }}", ""), [text("alert-comment-added"), markup(" "), text("HIGH")]);
}

#[test]
fn text_stays_text_after_filters_and_blocks() {
    for source in [
        "{{ alertSummary|upper }}",
        "{{ alertSummary|safe|upper }}",
        "{% set x = alertSummary %}{{ x|upper|safe }}",
        "{% set x %}{{ alertSummary }}{% endset %}{{ x|upper }}",
        "{% filter upper %}{{ alertSummary }}{% endfilter %}",
        "{% for c in [alertSummary] %}{{ c|upper }}{% endfor %}",
        "{{ [alertSummary]|join|upper }}",
    ] {
        assert_eq!(render(source, "[a](b)"), [text("[A](B)")], "{source}");
    }
    assert_eq!(render("{{ alertSummary[:3] }}", "abcdef"), [text("abc")]);
}

#[test]
fn an_event_cannot_draw_the_line_itself() {
    assert_eq!(render("<{{ alertSummary }}>", "\u{FDD1}**bold**\u{FDD0}"), [markup("<"), text("**bold**"), markup(">")]);
    assert!(error("a\u{FDD0}b").contains("noncharacters"));
}

#[test]
fn absent_values_are_empty() {
    let bare = Template::shared("[{{ alertKey }}{{ severity }}{{ extra.none }}]").unwrap().render(variables::sample_bare()).unwrap();
    assert_eq!(bare, [markup("[]")]);
    assert!(Template::shared("{% if severity %}S{{ severity }}{% endif %}").unwrap().render(variables::sample_bare()).unwrap().is_empty());
}

#[test]
fn times_are_local_to_the_connector() {
    let mut sample = variables::sample_bare();
    sample.zone = jiff::tz::TimeZone::get("Asia/Shanghai").unwrap();
    assert_eq!(Template::shared("{{ localTime }}").unwrap().render(sample).unwrap(), [text("1970-01-01 08:00:00 +08:00")]);
}

#[test]
fn a_wrong_name_is_an_error_with_a_suggestion() {
    assert_eq!(error("\n{{ alertSumary }}"), "line 2: there is no variable `alertSumary`; did you mean `alertSummary`?");
    assert!(error("{{ zzzzzzzz }}").starts_with("line 1: there is no variable `zzzzzzzz`; known are `alertId`, "));
    assert!(error("a\n{{ alertSummary|shout }}").starts_with("line 2: unknown filter"), "{}", error("a\n{{ alertSummary|shout }}"));
}

#[test]
fn a_syntax_error_says_where() {
    assert!(error("a\nb {{ alertSummary").starts_with("line 2: syntax error"), "{}", error("a\nb {{ alertSummary"));
    assert!(error("{% for x in %}").starts_with("line 1: "));
}

#[test]
fn work_and_size_are_bounded() {
    assert_eq!(
        error("{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}"),
        TemplateError::TooMuchWork.to_string()
    );
    assert_eq!(error("{{ 'x' * 70000 }}"), TemplateError::TooMuchWork.to_string());
    assert_eq!(Template::shared(&"x".repeat(MAX_SOURCE + 1)).unwrap_err(), TemplateError::TooLong);
}

#[test]
fn connectors_with_one_source_share_one_template() {
    let (a, b) = (Template::shared("same {{ alertId }}").unwrap(), Template::shared("same {{ alertId }}").unwrap());
    assert!(Arc::ptr_eq(&a, &b));
}

proptest! {
    #[test]
    fn whatever_an_event_says_is_one_piece_of_text(summary in ".{1,80}", before in "[a-z*# ]{1,10}") {
        let clean: String = summary.chars().filter(|c| !matches!(*c, OPEN | CLOSE)).collect();
        prop_assume!(!clean.is_empty());
        prop_assert_eq!(render(&format!("{before}{{{{ alertSummary }}}}"), &summary), [markup(&before), text(&clean)]);
    }

    #[test]
    fn no_source_makes_the_compiler_panic(source in "[{}%|#a-z \\n'\"\\[\\]().]{0,60}") {
        let _ = Template::shared(&source);
    }
}

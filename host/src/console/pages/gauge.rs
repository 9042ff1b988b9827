//! How full something is: ticks for a few, a bar for many. Drawn as SVG, told in words beside it.

use maud::{Markup, html};

/// As many ticks as that can be told apart.
const MOST_TICKS: u32 = 30;

/// `used` of `of`; `warn` says that it is nearly full.
pub(super) fn gauge(used: u32, of: u32, warn: bool) -> Markup {
    let class = if used >= of {
        "gauge full"
    } else if warn {
        "gauge low"
    } else {
        "gauge"
    };
    if of <= MOST_TICKS { ticks(class, used, of) } else { bar(class, used, of) }
}

fn ticks(class: &str, used: u32, of: u32) -> Markup {
    html! {
        svg class=(class) viewBox={ "0 0 " (of * 5) " 12" } preserveAspectRatio="none" aria-hidden="true" focusable="false" {
            @for tick in 0..of {
                rect class=[(tick < used).then_some("on")] x=(tick * 5) y="0" width="3.4" height="12" rx="1" {}
            }
        }
    }
}

fn bar(class: &str, used: u32, of: u32) -> Markup {
    let filled = (u64::from(used.min(of)) * 150).div_ceil(u64::from(of.max(1)));
    html! {
        svg class=(class) viewBox="0 0 150 12" preserveAspectRatio="none" aria-hidden="true" focusable="false" {
            rect x="0" y="3" width="150" height="6" rx="3" {}
            @if filled > 0 { rect.on x="0" y="3" width=(filled) height="6" rx="3" {} }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gauge_has_a_tick_for_each_message_and_a_bar_for_thousands() {
        let drawn = gauge(7, 20, false).0;
        assert_eq!((drawn.matches("<rect").count(), drawn.matches("class=\"on\"").count()), (20, 7));
        assert!(gauge(20, 20, false).0.contains("gauge full"));
        let drawn = gauge(1_500, 3_000, true).0;
        assert!(drawn.contains("gauge low") && drawn.contains("width=\"75\""), "{drawn}");
        assert_eq!(gauge(0, 3_000, false).0.matches("<rect").count(), 1);
    }
}

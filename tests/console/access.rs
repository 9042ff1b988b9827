//! Every page, in both themes, at both widths, in both languages: no complaint of the browser, no barrier, nothing wider than the window.

use crate::browser::Browser;
use crate::scene::Scene;
use crate::signs::{axe, barriers, overflows};

/// Everything that pages can show: delivered, dead, unreadable, failed.
async fn fill(scene: &Scene, browser: &Browser) -> String {
    scene.post("Zabbix", 1, "PENDING", "Replication lag on db-3 is 312 s").await;
    scene.post("Zabbix", 1, "RESOLVED", "Replication lag on db-3 is 312 s").await;
    scene.post("Backup", 2, "PENDING", "A summary-without-any-place-to-break-it-".repeat(4).as_str()).await;
    scene.post_raw("{\"no\":\"event\"}".into()).await;
    browser.client.goto(&scene.page("/messages?state=delivered")).await.unwrap();
    browser.read("#messages", "Replication lag").await;
    browser.client.goto(&scene.page("/messages?state=dead")).await.unwrap();
    browser.read("#messages", "A summary").await;
    browser.run("return new URL(document.querySelector('#messages td a').href).pathname").await.as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_can_be_used_by_everybody() {
    let Some(browser) = Browser::start().await else { return };
    let scene = Scene::start().await;
    let axe = axe();
    let dead = fill(&scene, &browser).await;
    let alive = dead.replace(|c: char| c.is_ascii_digit(), "") + "1";
    let pages = ["/", "/messages", &alive, &dead, "/dead-letters", "/plugins", "/playground"];
    let mut found = Vec::new();
    for (theme, width, language) in [("light", 1280, "en"), ("dark", 1280, "zh-CN"), ("light", 390, "zh-CN"), ("dark", 390, "en")] {
        browser.theme(theme).await;
        browser.size(width, 900).await;
        browser.client.goto(&scene.page(&format!("/?lang={language}"))).await.unwrap();
        for page in pages {
            browser.client.goto(&scene.page(page)).await.unwrap();
            assert_eq!(browser.see("html").await.attr("lang").await.unwrap().as_deref(), Some(language));
            browser.run("document.querySelectorAll('details').forEach(one => one.open = true)").await;
            let place = format!("{page} {theme} {width} {language}");
            if let Some(axe) = &axe {
                found.extend(barriers(&browser, axe).await.into_iter().map(|barrier| format!("{place}: {barrier}")));
            }
            found.extend(overflows(&browser).await.then(|| format!("{place}: wider than the window")));
            found.extend(browser.complaints().await.into_iter().map(|complaint| format!("{place}: {complaint}")));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_login_can_be_used_by_everybody() {
    let Some(browser) = Browser::start().await else { return };
    let scene = Scene::with("token = \"open-sesame\"").await;
    let axe = axe();
    for (theme, width) in [("light", 1280), ("dark", 390)] {
        browser.theme(theme).await;
        browser.size(width, 900).await;
        browser.client.goto(&scene.page("/")).await.unwrap();
        browser.see("#token").await;
        if let Some(axe) = &axe {
            assert_eq!(barriers(&browser, axe).await, [""; 0], "{theme} {width}");
        }
        assert!(!overflows(&browser).await);
    }
    assert_eq!(browser.complaints().await, [""; 0]);
    browser.end().await;
}

//! What the people of the demo do, and iLert before them.

use std::time::Duration;

use super::stage::{APP_SECRET, Stage};
use super::story::Deed;
use crate::secret::Secret;
use crate::simulator::dingtalk::Spoken;

/// The robot that people see and write to.
const ROBOT: &str = "iLert";
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

impl Stage {
    /// Does it, waits until iLert has told the host what follows, and says so in lines.
    pub(super) async fn perform(&self, deed: &Deed) -> Result<Vec<String>, String> {
        match deed {
            Deed::Post(body) => {
                let (accepted, status) = self.post(body).await?;
                Ok(vec![format!("POST {} → {status} {accepted}", self.webhook())])
            }
            Deed::Alert(about) => {
                let told = self.told(1);
                let id = self.ilert.create((**about).clone());
                told.await?;
                Ok(vec![format!("iLert: alert {id} begins, POST {} → 202", self.webhook())])
            }
            Deed::Tap { button, name } => self.tap(button, name).await,
            Deed::Say { text, name, staff_id } => self.say(text, name, staff_id).await,
        }
    }

    /// Waits until iLert has posted so many events more, the host's own comments included.
    fn told(&self, more: usize) -> impl Future<Output = Result<(), String>> {
        // From now on, not from when somebody begins to wait.
        let wanted = self.ilert.posts().len() + more;
        async move { self.ilert.wait_for_posts(wanted, PATIENCE).await.map(drop).map_err(|error| error.to_string()) }
    }

    async fn tap(&self, button: &str, name: &str) -> Result<Vec<String>, String> {
        let cards = self.group.messages(ROBOT);
        let page = cards.iter().rev().find_map(|card| card.button(button)?.page());
        let page = page.ok_or_else(|| format!("no card has a button `{button}`"))?;
        let failed = |error: reqwest::Error| error.without_url().to_string();
        let shown = self.client.get(&page).send().await.map_err(failed)?;
        let told = self.told(2);
        let looked = format!("{name} taps [{button}]. GET {} → {}: a page that asks for a name", short(&page), shown.status().as_u16());
        let form = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("token", page.rsplit('/').next().unwrap_or_default())
            .append_pair("name", name)
            .finish();
        let request = self.client.post(&page).header("content-type", "application/x-www-form-urlencoded").body(form);
        let acted = request.send().await.map_err(failed)?.status().as_u16();
        told.await?;
        let mut lines = vec![looked, format!("{name} presses the page's button. POST {} → {acted}", short(&page))];
        lines.extend(self.put());
        Ok(lines)
    }

    async fn say(&self, text: &str, name: &str, staff_id: &str) -> Result<Vec<String>, String> {
        let inbox = self.webhook().replace("/webhooks/ilert", "/webhooks/inbox/ops");
        let spoken = Spoken {
            robot: ROBOT.to_owned(),
            url: Secret::new(inbox.clone()),
            app_secret: Secret::new(APP_SECRET),
            text: text.to_owned(),
            sender: name.to_owned(),
            staff_id: Some(staff_id.to_owned()),
        };
        let told = self.told(2);
        let heard = self.group.say_to(&spoken).await.map_err(|error| error.to_string())?;
        told.await?;
        let mut lines = vec![format!("{name}: @{ROBOT} {text}"), format!("DingTalk: POST {inbox} → {}", heard.status)];
        lines.extend(self.put());
        Ok(lines)
    }

    /// The last change that the host asked iLert for.
    fn put(&self) -> Option<String> {
        let call = self.ilert.calls().into_iter().rev().find(|call| call.method == "PUT")?;
        Some(format!("iLert: {} {} → {}", call.method, call.path, call.status.unwrap_or_default()))
    }
}

/// An address without most of its token.
fn short(page: &str) -> String {
    page.rsplit_once('/').map_or_else(|| page.to_owned(), |(before, token)| format!("{before}/{}…", token.get(..8).unwrap_or_default()))
}

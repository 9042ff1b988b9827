//! A component that is uploaded: a form with files.

use axum::extract::{Multipart, Path, State};
use axum::response::Response;

use super::Console;
use super::flash::{Flash, Mood};
use super::format::fill;
use super::visit::Visit;
use super::words::Words;
use crate::delivery::upgrade::{InstallOptions, Installed, Who};

/// What the form holds.
#[derive(Default)]
struct Upload {
    component: Vec<u8>,
    signature: Option<String>,
    options: InstallOptions,
}

/// Why a form cannot be used.
enum Unusable {
    /// It is of another page.
    Foreign,
    /// It is cut off, too large, or no such form.
    Broken(String),
}

/// `POST /plugins/{name}/install`
pub(super) async fn install(State(console): State<Console>, visit: Visit, Path(name): Path<String>, form: Multipart) -> Response {
    let w = visit.words;
    let upload = match read(&console, &visit, form).await {
        Ok(upload) => upload,
        Err(Unusable::Foreign) => return visit.foreign_form(),
        Err(Unusable::Broken(text)) => return visit.back(&console, "/plugins", Flash::new(Mood::Bad, w.not_done, text).about(&name)),
    };
    let shadow = upload.options.shadow.is_some();
    let installed = console.control().sinks().upgrader.install(&name, upload.component, upload.signature, Who::Api, upload.options).await;
    let flash = match installed {
        Ok(installed) => Flash::new(Mood::Good, told(w, &installed, shadow), ""),
        Err(error) => Flash::new(Mood::Bad, w.plugin_refused, error.to_string()),
    };
    visit.back(&console, "/plugins", flash.about(&name))
}

fn told(w: &Words, installed: &Installed, shadow: bool) -> String {
    let text = match (shadow, installed.changed) {
        (true, _) => w.shadow_begun,
        (false, true) => w.installed_version,
        (false, false) => w.in_use_already,
    };
    fill(text, &[&installed.version])
}

/// The session's token comes first in the form: nothing behind it is read where it is wrong.
async fn read(console: &Console, visit: &Visit, mut form: Multipart) -> Result<Upload, Unusable> {
    let broken = |error: axum::extract::multipart::MultipartError| Unusable::Broken(error.body_text());
    let (mut upload, mut own) = (Upload::default(), false);
    while let Some(field) = form.next_field().await.map_err(broken)? {
        let name = field.name().unwrap_or_default().to_owned();
        if name == "csrf" {
            own = visit.is_own_form(console, &field.text().await.map_err(broken)?);
            continue;
        }
        if !own {
            return Err(Unusable::Foreign);
        }
        match name.as_str() {
            "component" => upload.component = field.bytes().await.map_err(broken)?.into(),
            "signature" => upload.signature = Some(field.text().await.map_err(broken)?).filter(|text| !text.trim().is_empty()),
            "shadow" => upload.options.shadow = field.text().await.map_err(broken)?.trim().parse().ok().filter(|messages| *messages > 0),
            "force" => upload.options.force = true,
            _ => {}
        }
    }
    if !own {
        return Err(Unusable::Foreign);
    }
    if upload.component.is_empty() { Err(Unusable::Broken(visit.words.no_file.to_owned())) } else { Ok(upload) }
}

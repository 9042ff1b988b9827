//! Style, script and icon, embedded. Their addresses change with their content, so that browsers may keep them.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

struct Asset {
    name: &'static str,
    kind: &'static str,
    content: &'static str,
}

const ASSETS: [Asset; 3] = [
    Asset {
        name: "console.css",
        kind: "text/css; charset=utf-8",
        content: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/console/console.css")),
    },
    Asset {
        name: "console.js",
        kind: "text/javascript; charset=utf-8",
        content: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/console/console.js")),
    },
    Asset {
        name: "icon.svg",
        kind: "image/svg+xml",
        content: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/console/icon.svg")),
    },
];

/// What tells this version's assets from those of another one.
static EDITION: LazyLock<String> = LazyLock::new(|| {
    let mut hasher = Sha256::new();
    ASSETS.iter().for_each(|asset| hasher.update(asset.content));
    hasher.finalize()[..6].iter().map(|byte| format!("{byte:02x}")).collect()
});

/// The address of an asset.
pub(super) fn address(name: &str) -> String {
    format!("/assets/{name}?{}", *EDITION)
}

/// `GET /assets/{name}`
pub(super) async fn serve(Path(name): Path<String>) -> Response {
    let Some(asset) = ASSETS.iter().find(|asset| asset.name == name) else { return StatusCode::NOT_FOUND.into_response() };
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(asset.kind)),
        (CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable")),
    ];
    (headers, asset.content).into_response()
}

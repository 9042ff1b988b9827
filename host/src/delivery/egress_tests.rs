//! Tests of the egress rule.

use proptest::prelude::*;

use super::*;

const OWN: &str = "https://chat.example:8443/send?token=t0ken%2Bx";

fn request() -> Request {
    Request { target: Target::Connector, method: Method::Post, headers: vec![], query: vec![], body: b"{\"a\":1}".to_vec() }
}

fn to(url: &str) -> Request {
    Request { target: Target::Allowed(url.into()), ..request() }
}

fn stamp(place: Place, name: &str, value: &str) -> Stamp {
    Stamp { place, name: name.into(), value: value.into() }
}

fn own() -> Url {
    Url::parse(OWN).unwrap()
}

fn go(request: &Request, stamps: &[Stamp]) -> Result<Outgoing, EgressError> {
    admit(request, stamps, &own(), &[Url::parse("https://api.example/v1/tokens").unwrap()])
}

#[test]
fn a_request_goes_to_exactly_the_connectors_url() {
    let out = go(&request(), &[]).unwrap();
    assert_eq!(out.url.as_str(), OWN);
    assert_eq!(out.method, http::Method::POST);
    assert_eq!(out.body, b"{\"a\":1}");
}

#[test]
fn added_parameters_are_encoded_once() {
    let mut asked = request();
    asked.query.push(("q q".into(), "a b&c".into()));
    let out = go(&asked, &[stamp(Place::Query, "sign", "a+b/c=")]).unwrap();
    assert_eq!(out.url.query(), Some("token=t0ken%2Bx&q%20q=a%20b%26c&sign=a%2Bb%2Fc%3D"));
}

#[test]
fn a_url_without_a_query_gets_one() {
    let plain = Url::parse("https://chat.example/hook").unwrap();
    let out = admit(&request(), &[stamp(Place::Query, "sign", "%3D")], &plain, &[]).unwrap();
    assert_eq!(out.url.as_str(), "https://chat.example/hook?sign=%253D");
}

#[test]
fn the_connectors_own_parameters_cannot_be_repeated() {
    let mut asked = request();
    asked.query.push(("Token".into(), "mine".into()));
    assert_eq!(go(&asked, &[]).unwrap_err(), EgressError::RepeatedQuery("Token".into()));
    let stamps = [stamp(Place::Query, "token", "mine")];
    assert_eq!(go(&request(), &stamps).unwrap_err(), EgressError::RepeatedQuery("token".into()));
    let twice = [stamp(Place::Query, "sign", "1"), stamp(Place::Query, "sign", "2")];
    assert_eq!(go(&request(), &twice).unwrap_err(), EgressError::RepeatedQuery("sign".into()));
    assert_eq!(go(&request(), &[stamp(Place::Query, "", "1")]).unwrap_err(), EgressError::NamelessQuery);
}

#[test]
fn other_urls_need_a_prefix() {
    for good in ["https://api.example/v1/tokens", "https://api.example:443/v1/tokens/new?x=1"] {
        assert!(go(&to(good), &[]).is_ok(), "{good}");
    }
    for bad in [
        "https://api.example/v1/tokensX",
        "https://api.example/v1",
        "https://api.example:444/v1/tokens",
        "http://api.example/v1/tokens",
        "https://api.example.evil/v1/tokens",
        "https://api.example@evil/v1/tokens",
        "https://u:p@api.example/v1/tokens",
        "https://api.example/v1/tokens/../../admin",
        "https://api.example/v1/tokens/%2e%2e/x",
        "https://api.example/v1/tokens/..%2Fx",
        "https://api.example/v1/tokens/\\x",
        "file:///v1/tokens",
        "/v1/tokens",
        OWN,
        "",
    ] {
        assert!(go(&to(bad), &[]).is_err(), "{bad}");
    }
}

#[test]
fn a_prefix_that_ends_with_a_slash_covers_what_lies_below() {
    let allow = [Url::parse("https://api.example/v1/").unwrap()];
    assert!(admit(&to("https://api.example/v1/x"), &[], &own(), &allow).is_ok());
    assert!(admit(&to("https://api.example/v1"), &[], &own(), &allow).is_err());
}

#[test]
fn headers_of_the_host_are_refused_from_both_halves() {
    for name in ["Host", "connection", "Proxy-Authorization", "te", "Transfer-Encoding", "content-length", "upgrade"] {
        let mut asked = request();
        asked.headers.push((name.into(), "x".into()));
        assert!(matches!(go(&asked, &[]), Err(EgressError::ForbiddenHeader(_))), "{name}");
        assert!(matches!(go(&request(), &[stamp(Place::Header, name, "x")]), Err(EgressError::ForbiddenHeader(_))), "{name}");
    }
}

#[test]
fn only_the_signer_may_set_credentials() {
    for name in ["Authorization", "cookie"] {
        let mut asked = request();
        asked.headers.push((name.into(), "x".into()));
        assert!(matches!(go(&asked, &[]), Err(EgressError::ForbiddenHeader(_))), "{name}");
        let out = go(&request(), &[stamp(Place::Header, name, "Bearer s3cret")]).unwrap();
        assert!(out.headers.values().all(HeaderValue::is_sensitive));
    }
    let with_user = Url::parse("https://u:p@chat.example/").unwrap();
    let stamps = [stamp(Place::Header, "authorization", "x")];
    assert_eq!(admit(&request(), &stamps, &with_user, &[]).unwrap_err(), EgressError::RepeatedHeader("authorization".into()));
}

#[test]
fn a_header_cannot_smuggle_another() {
    for (name, value) in [("x", "a\r\nHost: evil"), ("x\r\nhost", "a"), ("", "a"), ("x y", "a"), ("x", "a\0")] {
        let mut asked = request();
        asked.headers.push((name.into(), value.into()));
        assert!(matches!(go(&asked, &[]), Err(EgressError::BadHeader(_))), "{name:?}");
    }
}

#[test]
fn a_stamp_in_the_body_leaves_every_other_byte() {
    let body = |text: &str, name: &str| {
        let asked = Request { body: text.as_bytes().to_vec(), ..request() };
        go(&asked, &[stamp(Place::BodyField, name, "v\"1")]).map(|out| String::from_utf8(out.body).unwrap())
    };
    assert_eq!(body("{ \"a\" : 1.0 }\n", "sign").unwrap(), "{ \"a\" : 1.0 ,\"sign\":\"v\\\"1\"}\n");
    assert_eq!(body("{}", "sign").unwrap(), "{\"sign\":\"v\\\"1\"}");
    assert_eq!(body("{\"\\u0061\":1}", "a").unwrap_err(), EgressError::RepeatedField("a".into()));
    for no_object in ["[]", "\"}\"", "", "{", "{} {}"] {
        assert_eq!(body(no_object, "sign").unwrap_err(), EgressError::BodyIsNoObject, "{no_object}");
    }
}

#[test]
fn nothing_that_prints_shows_a_credential() {
    let mut asked = to("https://api.example/v1/tokens?key=hush1");
    asked.query.push(("q".into(), "hush2".into()));
    asked.headers.push(("x-key".into(), "hush3".into()));
    let stamps = [stamp(Place::Query, "sign", "hush4"), stamp(Place::Header, "authorization", "hush5")];
    let out = go(&asked, &stamps).unwrap();
    let text = format!("{asked:?} {stamps:?} {out:?} {out} {}", go(&to("https://u:hush6@x/?a=hush7"), &[]).unwrap_err());
    assert!(!text.contains("hush"), "{text}");
}

proptest! {
    #[test]
    fn an_added_parameter_is_read_back_as_it_was(name in "\\PC{1,20}", value in "\\PC{0,40}") {
        prop_assume!(!name.eq_ignore_ascii_case("token"));
        let out = go(&request(), &[stamp(Place::Query, &name, &value)]).unwrap();
        let pairs: Vec<(String, String)> = out.url.query_pairs().into_owned().collect();
        prop_assert_eq!(&pairs[0], &("token".to_owned(), "t0ken+x".to_owned()));
        prop_assert_eq!(&pairs[1], &(name, value));
        prop_assert!(out.url.as_str().starts_with(OWN));
    }

    #[test]
    fn no_request_leaves_the_allowed_places(url in "https?://[a-z.@:/%0-9?#\\\\]{0,40}") {
        if let Ok(out) = go(&to(&url), &[]) {
            prop_assert_eq!(out.url.host_str(), Some("api.example"));
            prop_assert!(out.url.path().starts_with("/v1/tokens"));
        }
    }

    #[test]
    fn a_stamped_body_differs_by_the_stamp_alone(keys in prop::collection::btree_map("[a-z]{1,5}", ".{0,10}", 0..5), value in ".{0,20}") {
        let body = serde_json::to_vec(&keys).unwrap();
        let out = stamp_body(&body, [("SIGN", value.as_str())].into_iter()).unwrap();
        let mut read: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&out).unwrap();
        let stamped = read.remove("SIGN");
        prop_assert_eq!(stamped.as_ref().and_then(serde_json::Value::as_str), Some(value.as_str()));
        prop_assert_eq!(serde_json::to_vec(&read).unwrap(), body);
    }
}

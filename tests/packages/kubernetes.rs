//! The manifests: they parse, say what a cluster demands, and the config in them starts a host.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use incident_sink::config::{Document, Format};
use serde_json::{Value, json};

use crate::support::{PROGRAM, component, packaging, worked};

fn manifest(name: &str) -> Value {
    let file = packaging(&format!("kubernetes/{name}.yaml"));
    let text = std::fs::read_to_string(&file).unwrap();
    let document = Document::parse(&text, Format::Yaml, &file.to_string_lossy(), ".".as_ref(), &|_| None).unwrap();
    document.value(&[]).unwrap().into_owned()
}

#[test]
fn every_manifest_is_listed_and_parses() {
    let listed: Vec<String> = serde_json::from_value(manifest("kustomization")["resources"].clone()).unwrap();
    let mut there: Vec<String> =
        std::fs::read_dir(packaging("kubernetes")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    there.retain(|name| name != "kustomization.yaml");
    let (mut sorted, _) = (listed.clone(), there.sort());
    sorted.sort();
    assert_eq!(sorted, there);
    for name in listed {
        let manifest = manifest(name.trim_end_matches(".yaml"));
        assert!(manifest["apiVersion"].is_string() && manifest["kind"].is_string(), "{name}");
        assert_eq!(manifest["metadata"]["labels"]["app.kubernetes.io/name"], "incident-sink", "{name}");
    }
}

#[test]
fn the_pod_is_probed_and_may_do_little() {
    let set = manifest("statefulset");
    let pod = &set["spec"]["template"]["spec"];
    assert_eq!((&set["spec"]["replicas"], &pod["automountServiceAccountToken"]), (&json!(1), &json!(false)));
    assert_eq!(
        (&pod["securityContext"]["runAsNonRoot"], &pod["securityContext"]["seccompProfile"]["type"]),
        (&json!(true), &json!("RuntimeDefault"))
    );
    for container in pod["initContainers"].as_array().unwrap().iter().chain(pod["containers"].as_array().unwrap()) {
        let context = &container["securityContext"];
        assert_eq!(
            (&context["allowPrivilegeEscalation"], &context["readOnlyRootFilesystem"], &context["capabilities"]["drop"]),
            (&json!(false), &json!(true), &json!(["ALL"]))
        );
        assert!(container["resources"]["limits"]["memory"].is_string());
        let words = container["args"].as_array().unwrap().iter().map(|word| word.as_str().unwrap());
        incident_sink::cli::command().try_get_matches_from(std::iter::once("incident-sink").chain(words)).unwrap();
    }
    let host = &pod["containers"][0];
    let probe = |name: &str| host[name]["httpGet"]["path"].as_str().unwrap().to_owned();
    assert_eq!([probe("startupProbe"), probe("livenessProbe"), probe("readinessProbe")], ["/healthz", "/healthz", "/readyz"]);
    let mounted: Vec<&str> = host["volumeMounts"].as_array().unwrap().iter().map(|mount| mount["name"].as_str().unwrap()).collect();
    assert_eq!(mounted, ["state", "config", "secrets"]);
    assert_eq!(set["spec"]["volumeClaimTemplates"][0]["metadata"]["name"], "state");
}

#[test]
fn ports_and_labels_fit_together() {
    let set = manifest("statefulset");
    let ports = &set["spec"]["template"]["spec"]["containers"][0]["ports"];
    let named: Vec<&str> = ports.as_array().unwrap().iter().map(|port| port["name"].as_str().unwrap()).collect();
    for port in manifest("service")["spec"]["ports"].as_array().unwrap() {
        assert!(named.contains(&port["targetPort"].as_str().unwrap()), "{port}");
    }
    for rule in manifest("networkpolicy")["spec"]["ingress"].as_array().unwrap() {
        assert!(named.contains(&rule["ports"][0]["port"].as_str().unwrap()), "{rule}");
    }
    let labels = &set["spec"]["template"]["metadata"]["labels"];
    for selector in [
        &set["spec"]["selector"]["matchLabels"],
        &manifest("service")["spec"]["selector"],
        &manifest("networkpolicy")["spec"]["podSelector"]["matchLabels"],
    ] {
        assert_eq!(selector, labels);
    }
}

/// The manifests' files in a folder, as the volumes would show them.
fn mounted(folder: &Path) -> String {
    let config = manifest("config")["data"]["incident-sink.toml"].as_str().unwrap().to_owned();
    for made in ["etc", "secrets", "state/plugins"] {
        std::fs::create_dir_all(folder.join(made)).unwrap();
    }
    for (name, value) in manifest("secret")["stringData"].as_object().unwrap() {
        std::fs::write(folder.join("secrets").join(name), value.as_str().unwrap()).unwrap();
    }
    let place = |name: &str| folder.join(name).display().to_string();
    let config = config.replace("/run/secrets/incident-sink", &place("secrets")).replace("/var/lib/incident-sink", &place("state"));
    std::fs::write(folder.join("etc/incident-sink.toml"), &config).unwrap();
    config
}

#[test]
fn the_config_of_the_manifests_starts_a_host_that_is_ready() {
    let folder = tempfile::tempdir().unwrap();
    let config = mounted(folder.path());
    assert!(!config.contains("/var/lib") && !config.contains("/run/secrets"), "{config}");
    let file = folder.path().join("etc/incident-sink.toml");
    let command = |args: &[&str]| {
        let mut command = Command::new(PROGRAM);
        command.args(args).env("INCIDENT_SINK_CONFIG", &file).env_remove("RUST_LOG").current_dir(folder.path()).stdin(Stdio::null());
        command
    };
    // As the init container does it.
    worked(&command(&["plugin", "install", "--force", component().to_str().unwrap()]).output().unwrap());
    let output = command(&["validate"]).output().unwrap();
    assert!(worked(&output).contains("1 source, 1 connector, 1 action, 1 plugin") && output.stderr.is_empty(), "{output:?}");
    // The addresses of the manifests may be taken on this machine.
    let ports = [(); 2].map(|()| std::net::TcpListener::bind("127.0.0.1:0").unwrap()).map(|socket| socket.local_addr().unwrap().port());
    let config = config.replace(":8740\"", &format!(":{}\"", ports[0])).replace(":8741\"", &format!(":{}\"", ports[1]));
    std::fs::write(&file, config).unwrap();
    let mut host = command(&["run"]).stderr(Stdio::null()).spawn().unwrap();
    let until = Instant::now() + Duration::from_secs(60);
    let ready = loop {
        if probe(ports[1], "/healthz") && probe(ports[1], "/readyz") {
            break true;
        }
        if Instant::now() > until || host.try_wait().unwrap().is_some() {
            break false;
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    host.kill().unwrap();
    host.wait().unwrap();
    assert!(ready);
}

/// As the kubelet asks: without a token.
fn probe(port: u16, path: &str) -> bool {
    use std::io::{Read, Write};
    let Ok(mut socket) = std::net::TcpStream::connect(("127.0.0.1", port)) else { return false };
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let asked = write!(socket, "GET {path} HTTP/1.1\r\nhost: 10.0.0.7:8741\r\nuser-agent: kube-probe/1.31\r\nconnection: close\r\n\r\n");
    let mut answer = String::new();
    asked.is_ok() && socket.read_to_string(&mut answer).is_ok() && answer.starts_with("HTTP/1.1 200")
}

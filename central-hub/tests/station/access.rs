//! Who is let in, and from where.

use cotside_central_hub::api;
use cotside_central_hub::people::{Permission, Role};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::browser::*;
use crate::hub::*;
use crate::patients::newborn;

#[tokio::test]
async fn a_page_elsewhere_opens_no_socket_and_writes_nothing() {
    let hub = Hub::start().await;
    let browser = Browser::log_in(&hub, "nurse").await;
    let elsewhere = [("origin", "https://evil.example")];
    assert_eq!(Socket::open(&hub, &browser, &elsewhere).await.err(), Some(403));
    let here = format!("http://{}", hub.at);
    assert!(Socket::open(&hub, &browser, &[("origin", &here)]).await.is_ok());
    let path = "/api/v1/beds/01/patient";
    let answer = browser.send(&hub, "PUT", path, &elsewhere, Some(newborn("4711"))).await;
    assert_eq!((answer.status, answer.code().as_str()), (403, "foreign-origin"));
    let answer = browser.send(&hub, "PUT", path, &[("x-csrf-token", "guess")], Some(newborn("4711"))).await;
    assert_eq!((answer.status, answer.code().as_str()), (403, "bad-csrf"));
    let answer = browser.send(&hub, "GET", "/api/v1/health", &[("host", "evil.example")], None).await;
    assert_eq!((answer.status, answer.code().as_str()), (421, "misdirected"));
}

#[tokio::test]
async fn the_fifth_wrong_password_locks_out_and_a_right_one_before_it_does_not() {
    let hub = Hub::start().await;
    let mut browser = Browser::default();
    for _ in 0..4 {
        let answer = browser.try_log_in(&hub, "nurse", "wrong password").await;
        assert_eq!((answer.status, answer.code().as_str()), (401, "bad-credentials"));
    }
    assert_eq!(browser.try_log_in(&hub, "nurse", PASSWORD).await.status, 200);
    for _ in 0..5 {
        assert_eq!(browser.try_log_in(&hub, "nobody", PASSWORD).await.status, 401);
        assert_eq!(browser.try_log_in(&hub, "fellow", "wrong password").await.status, 401);
    }
    let answer = browser.try_log_in(&hub, "fellow", PASSWORD).await;
    assert_eq!((answer.status, answer.code().as_str()), (429, "locked-out"));
    let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((200..=301).contains(&wait), "{wait}");
    assert_eq!(browser.try_log_in(&hub, "physician", PASSWORD).await.status, 200);
}

#[tokio::test]
async fn a_session_is_shown_ended_and_survives_a_restart() {
    let hub = Hub::start().await;
    let browser = Browser::log_in(&hub, "resident").await;
    let answer = browser.get(&hub, "/api/v1/session").await;
    assert_eq!(
        answer.json()["data"]["user"],
        json!({"username": "resident", "name": "resident", "role": "resident"})
    );
    assert_eq!(answer.json()["data"]["csrf"].as_str(), browser.csrf.as_deref());
    let hub = hub.restart().await;
    assert_eq!(browser.get(&hub, "/api/v1/session").await.status, 200);
    let mut events = Events::open(&hub, &browser).await;
    assert_eq!(browser.send(&hub, "DELETE", "/api/v1/session", &[], None).await.status, 200);
    let answer = browser.get(&hub, "/api/v1/session").await;
    assert_eq!((answer.status, answer.code().as_str()), (401, "login-required"));
    // Logging out ends what the page was looking at, within a tick.
    while events.next().await.is_some() {}
}

#[tokio::test]
async fn every_route_lets_in_whom_its_permission_allows_and_nobody_else() {
    let hub = Hub::start().await;
    let routes = api::list(hub.state.clone(), hub.stop.clone());
    assert!(routes.len() >= 12);
    let people: Vec<Option<Role>> = Role::ALL.into_iter().map(Some).chain([None]).collect();
    let mut browsers = Vec::new();
    for role in &people {
        browsers.push(match role {
            Some(role) => Browser::log_in(&hub, role.name()).await,
            None => Browser::default(),
        });
    }
    for route in routes {
        let path = route.path.replace("{unit}", "nicu").replace("{bed}", "01");
        let path = path.replace("{episode}", "a1").replace("{id}", "none");
        let logs_out = route.method == "DELETE" && path.ends_with("/session");
        for (role, browser) in people.iter().copied().zip(&browsers) {
            let browser = match role.filter(|_| logs_out) {
                Some(role) => &Browser::log_in(&hub, role.name()).await,
                None => browser,
            };
            let request = browser.head(&hub, route.method.as_str(), &path, &[], None);
            let mut stream = BufReader::new(TcpStream::connect(hub.at).await.unwrap());
            stream.get_mut().write_all(request.as_bytes()).await.unwrap();
            let (status, _) = tokio::time::timeout(PATIENCE, read_head(&mut stream)).await.unwrap().unwrap();
            let is_refused = matches!(status, 401 | 403);
            assert_eq!(
                is_refused,
                !route.permission.allows(role),
                "{} {path} as {role:?}: {status}",
                route.method
            );
            assert_eq!(is_refused && role.is_none(), status == 401, "{path} as {role:?}: {status}");
        }
    }
    assert!(!Permission::AdmitPatients.allows(Some(Role::BiomedicalEngineer)));
    assert!(!Permission::ViewUnit.allows(None));
}

#[tokio::test]
async fn over_tls_the_cookie_is_secure_and_http_2_is_offered() {
    let mut hub = Hub::start().await;
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let server = rustls::ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let state = hub.state.clone();
    hub.stages.start("https", PATIENCE, move |stop| api::serve(listener, Some(server.into()), state, stop));
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let mut client = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut negotiated = Vec::new();
    for protocols in [vec![b"h2".to_vec(), b"http/1.1".to_vec()], vec![b"http/1.1".to_vec()]] {
        client.alpn_protocols = protocols;
        let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(client.clone()));
        let stream = TcpStream::connect(at).await.unwrap();
        let mut stream = connector.connect("localhost".try_into().unwrap(), stream).await.unwrap();
        negotiated.push(stream.get_ref().1.alpn_protocol().unwrap().to_vec());
        if negotiated.last().unwrap() == b"http/1.1" {
            let body = json!({"username": "nurse", "password": PASSWORD}).to_string();
            let request = Browser::default().head(
                &hub,
                "POST",
                "/api/v1/session",
                &[("host", "hub.example"), ("connection", "close")],
                Some(&body),
            );
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            let _ = stream.read_to_string(&mut answer).await;
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            assert!(answer.contains("HttpOnly; SameSite=Strict; Secure"), "{answer}");
            assert!(answer.contains("strict-transport-security"), "{answer}");
        }
    }
    assert_eq!(negotiated, [b"h2".to_vec(), b"http/1.1".to_vec()]);
}

#[tokio::test]
async fn plain_http_is_not_served_to_other_machines() {
    let hub = Hub::start().await;
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let refused = api::serve(listener, None, hub.state.clone(), hub.stop.clone()).await.unwrap_err();
    assert!(refused.to_string().contains("configure TLS"), "{refused}");
}

#[tokio::test]
async fn a_proxy_on_this_machine_may_speak_tls_for_the_hub() {
    let hub = Hub::start_behind_proxy().await;
    let proxied =
        [("host", "unit.example"), ("x-forwarded-proto", "https"), ("x-forwarded-for", "10.0.0.9, 10.0.0.7")];
    let body = json!({"username": "nurse", "password": PASSWORD});
    let answer = Browser::default().send(&hub, "POST", "/api/v1/session", &proxied, Some(body)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.header("set-cookie").unwrap().contains("; Secure"));
    let address: String = hub
        .store()
        .query_row("SELECT address FROM audit WHERE what = 'login'", [], |row| row.get(0))
        .unwrap();
    assert_eq!(address, "10.0.0.7");
}

#[tokio::test]
async fn without_a_proxy_in_the_configuration_nobody_is_believed_to_come_from_elsewhere() {
    let hub = Hub::start().await;
    let forged = [("host", "unit.example"), ("x-forwarded-proto", "https"), ("x-forwarded-for", "10.0.0.7")];
    let body = json!({"username": "nurse", "password": PASSWORD});
    let answer = Browser::default().send(&hub, "POST", "/api/v1/session", &forged, Some(body)).await;
    assert_eq!(answer.status, 421, "{}", answer.text());
}

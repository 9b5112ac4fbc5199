//! The page for people in a browser: live state, verbs, layout, accessibility, pictures.
//!
//! `SCREENSHOTS=FOLDER cargo test -p tower-key-rotation-gateway --test browser` saves pictures.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

#[path = "support/browser.rs"]
mod browser;
#[path = "support/day.rs"]
mod day;
mod support;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::body::Body;
use browser::{Browser, axe, browser};
use http::{Request, StatusCode};
use support::{Gateway, MARKER, Sims, chat};
use tokio::net::TcpListener;
use tower_key_rotation::event::Events;
use tower_key_rotation::{ApiKey, KeyPool, Provider};
use tower_key_rotation_gateway::status;
use tower_key_rotation_sim::{Script, SimFault};

const PHONE: (u32, u32) = (390, 844);
const DESKTOP: (u32, u32) = (1440, 1000);
const TOKEN: &str = "operator-token-for-the-page";

/// Serves a router.
async fn serve(router: axum::Router) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async { axum::serve(listener, router).await });
    address
}

/// The chip with the state of a key.
fn chip(provider: &str, key: &str) -> String {
    format!("document.querySelector('article[aria-label={provider}] [data-id={key}] .state').textContent")
}

async fn list_models(gateway: &Gateway) -> StatusCode {
    gateway.send(Request::get("/v1/models").body(Body::empty()).unwrap()).await.status()
}

async fn assert_clean(page: &Browser) {
    assert_eq!(page.complaints().await, [""; 0]);
    let shown = page.run("return document.documentElement.outerHTML").await.to_string();
    assert!(!shown.contains(MARKER) && !shown.contains(TOKEN), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_goes_out_and_comes_back() {
    let Some(page) = browser().await else { return };
    let sims = Sims::new();
    let gateway = Gateway::start(&sims, "").await;
    page.view(DESKTOP, "light").await;
    page.open(&format!("http://{}/", gateway.address)).await;
    page.until(&format!("{}.startsWith('Available')", chip("openai", "a"))).await;
    page.until("document.getElementById('live').textContent == 'Live'").await;

    sims.openai.key("a").script(Script::new().then(SimFault::rate_limited(Duration::from_secs(3))));
    assert_eq!(list_models(&gateway).await, StatusCode::OK);
    page.until(&format!("{}.startsWith('Rate limited · ')", chip("openai", "a"))).await;
    page.until("document.getElementById('history').textContent.includes('a: cooled down')").await;
    page.until("document.getElementById('history').textContent.includes('a: on with another key')").await;
    page.until(&format!("{}.startsWith('Available')", chip("openai", "a"))).await;

    assert_eq!(gateway.send(chat("")).await.status(), StatusCode::OK);
    page.until("document.querySelector('article[aria-label=openai] .rate b').textContent != ''").await;
    assert_clean(&page).await;
    page.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_disables_and_enables_a_key() {
    let Some(page) = browser().await else { return };
    let gateway = Gateway::start(&Sims::new(), &format!("[status]\noperator_token = \"{TOKEN}\"")).await;
    page.view(DESKTOP, "dark").await;
    page.open(&format!("http://{}/", gateway.address)).await;
    page.until("!document.getElementById('sign').hidden").await;
    page.click("#sign").await;
    page.enter("#ask-token", "a-wrong-token").await;
    page.click("#ask-yes").await;
    page.until("document.getElementById('ask-problem').textContent.includes('operator token')").await;
    page.run("document.getElementById('ask-token').value = ''").await;
    page.enter("#ask-token", TOKEN).await;
    page.click("#ask-yes").await;
    for (verb, state) in [("disable", "Disabled"), ("enable", "Available")] {
        let key = "article[aria-label=gemini] [data-id=b]";
        page.until(&format!(
            "!document.getElementById('ask').open && !document.querySelector('{key} .menu').hidden"
        ))
        .await;
        page.click(&format!("{key} .menu > button")).await;
        page.until(&format!("!document.querySelector('{key} [data-verb={verb}]').hidden")).await;
        page.click(&format!("{key} [data-verb={verb}] button")).await;
        page.until("document.getElementById('ask').open").await;
        page.click("#ask-yes").await;
        page.until(&format!("{}.startsWith('{state}')", chip("gemini", "b"))).await;
    }
    let complaints = page.complaints().await;
    let serious =
        complaints.iter().filter(|it| !it.contains("status of 401") && !it.contains("status of 400"));
    assert_eq!(serious.count(), 0, "{complaints:?}");
    assert_clean(&page).await;
    page.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_asks_for_the_token() {
    let Some(page) = browser().await else { return };
    let gateway = Gateway::start(&Sims::new(), &format!("token = \"{TOKEN}\"")).await;
    page.open(&format!("http://{}/", gateway.address)).await;
    page.until("document.getElementById('ask').open").await;
    page.enter("#ask-token", TOKEN).await;
    page.click("#ask-yes").await;
    page.until(&format!("{}.startsWith('Available')", chip("openai", "a"))).await;
    page.until("document.getElementById('live').textContent == 'Live'").await;
    page.complaints().await;
    assert_clean(&page).await;
    page.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_callers_are_shown_as_text() {
    let Some(page) = browser().await else { return };
    let (id, model) = ("<img src=x onerror=alert(1)>", "</script><script>alert(2)</script>");
    let events = Events::new();
    let keys =
        [ApiKey::new("sk-one").unwrap().id(id), ApiKey::new("sk-two").unwrap().id("\"><b onclick=alert(3)>")];
    let pool = KeyPool::builder(Provider::openai()).keys(keys).events(&events).build().unwrap();
    let address = serve(axum::Router::new().nest("/any/path", status::router([pool.clone()], &events))).await;
    page.open(&format!("http://{address}/any/path")).await;
    page.until("document.getElementById('live').textContent == 'Live'").await;
    pool.cool_down(&id.into(), Some(&model.into()), Duration::from_secs(60)).unwrap();
    pool.disable(&id.into()).unwrap();
    page.until(&format!("document.body.innerText.includes({:?})", id)).await;
    page.until(&format!("document.body.innerText.includes({:?})", model)).await;
    page.until("document.getElementById('history').textContent.includes('disabled')").await;
    assert_eq!(page.run("return document.querySelectorAll('img, main script, b[onclick]').length").await, 0);
    assert_clean(&page).await;
    page.close().await;
}

#[tokio::test(start_paused = true)]
async fn the_page_is_for_everybody() {
    let day = day::simulated().await;
    tokio::time::resume();
    let Some(page) = browser().await else { return };
    let address = serve(day.status.clone().router()).await;
    for (name, size, scheme) in [
        ("desktop-light", DESKTOP, "light"),
        ("desktop-dark", DESKTOP, "dark"),
        ("phone-light", PHONE, "light"),
        ("phone-dark", PHONE, "dark"),
    ] {
        page.view(size, scheme).await;
        page.open(&format!("http://{address}/")).await;
        page.until("document.getElementById('live').textContent == 'Live'").await;
        page.until("document.querySelectorAll('.plot .failed, .plot .limited').length > 0").await;
        page.until("document.querySelectorAll('#history li').length > 9").await;
        page.picture(name).await;
        let wide = page.run("return document.documentElement.scrollWidth - innerWidth").await;
        assert!(wide.as_f64().unwrap() <= 0.0, "{name} is {wide} pixels too wide");
        if let Some(axe) = axe() {
            assert_eq!(page.broken_rules(&axe).await, [""; 0], "{name}");
        }
        assert_clean(&page).await;
    }
    page.close().await;
}

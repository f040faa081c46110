//! What a browser does, byte by byte: requests, an event stream, a WebSocket.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::hub::*;

/// What a browser remembers.
#[derive(Clone, Default)]
pub(crate) struct Browser {
    pub(crate) cookie: Option<String>,
    pub(crate) csrf: Option<String>,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    pub(crate) fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or("").to_owned()
    }
}

impl Browser {
    pub(crate) async fn log_in(hub: &Hub, name: &str) -> Browser {
        let mut browser = Browser::default();
        let answer = browser.try_log_in(hub, name, PASSWORD).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        browser
    }

    pub(crate) async fn try_log_in(&mut self, hub: &Hub, name: &str, password: &str) -> Answer {
        let body = json!({"username": name, "password": password});
        let answer = self.send(hub, "POST", "/api/v1/session", &[], Some(body)).await;
        if answer.status == 200 {
            let cookie = answer.header("set-cookie").unwrap();
            self.cookie = Some(cookie.split(';').next().unwrap().to_owned());
            self.csrf = Some(answer.json()["data"]["csrf"].as_str().unwrap().to_owned());
        }
        answer
    }

    pub(crate) fn head(
        &self,
        hub: &Hub,
        method: &str,
        path: &str,
        extra: &[(&str, &str)],
        body: Option<&str>,
    ) -> String {
        let mut head = format!("{method} {path} HTTP/1.1\r\n");
        if !extra.iter().any(|(name, _)| *name == "host") {
            head += &format!("host: {}\r\n", hub.at);
        }
        if let Some(cookie) = &self.cookie {
            head += &format!("cookie: {cookie}\r\n");
        }
        if let Some(csrf) =
            self.csrf.as_ref().filter(|_| !extra.iter().any(|(name, _)| *name == "x-csrf-token"))
        {
            head += &format!("x-csrf-token: {csrf}\r\n");
        }
        for (name, value) in extra {
            head += &format!("{name}: {value}\r\n");
        }
        if let Some(body) = body {
            head += &format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len());
        }
        head + "\r\n" + body.unwrap_or("")
    }

    pub(crate) async fn send(
        &self,
        hub: &Hub,
        method: &str,
        path: &str,
        extra: &[(&str, &str)],
        body: Option<Value>,
    ) -> Answer {
        let body = body.map(|body| body.to_string());
        let mut extra = extra.to_vec();
        extra.push(("connection", "close"));
        let request = self.head(hub, method, path, &extra, body.as_deref());
        let exchange = async {
            let mut stream = TcpStream::connect(hub.at).await?;
            stream.write_all(request.as_bytes()).await?;
            read_answer(BufReader::new(stream)).await
        };
        tokio::time::timeout(PATIENCE, exchange).await.expect("an answer in time").expect("an answer")
    }

    pub(crate) async fn get(&self, hub: &Hub, path: &str) -> Answer {
        self.send(hub, "GET", path, &[], None).await
    }
}

pub(crate) async fn read_head(stream: &mut BufReader<TcpStream>) -> Result<(u16, String)> {
    let mut head = String::new();
    while stream.read_line(&mut head).await? > 2 {}
    let status = head.split(' ').nth(1).context("a status line")?.parse()?;
    Ok((status, head))
}

pub(crate) async fn read_answer(mut stream: BufReader<TcpStream>) -> Result<Answer> {
    let (status, head) = read_head(&mut stream).await?;
    let mut answer = Answer { status, head, body: Vec::new() };
    if answer.header("transfer-encoding") == Some("chunked") {
        while let Some(chunk) = read_chunk(&mut stream).await? {
            answer.body.extend(chunk);
        }
    } else {
        stream.read_to_end(&mut answer.body).await?;
    }
    Ok(answer)
}

pub(crate) async fn read_chunk(stream: &mut BufReader<TcpStream>) -> Result<Option<Vec<u8>>> {
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    let length = usize::from_str_radix(line.trim(), 16)?;
    let mut chunk = vec![0; length + 2];
    stream.read_exact(&mut chunk).await?;
    chunk.truncate(length);
    Ok((length > 0).then_some(chunk))
}

/// An open event stream.
pub(crate) struct Events {
    pub(crate) stream: BufReader<TcpStream>,
    pub(crate) buffer: String,
}

impl Events {
    pub(crate) async fn open(hub: &Hub, browser: &Browser) -> Events {
        let stream = TcpStream::connect(hub.at).await.unwrap();
        let mut stream = BufReader::new(stream);
        let request =
            browser.head(hub, "GET", "/api/v1/units/nicu/events", &[("accept-encoding", "gzip")], None);
        stream.get_mut().write_all(request.as_bytes()).await.unwrap();
        let (status, head) = read_head(&mut stream).await.unwrap();
        assert_eq!(status, 200, "{head}");
        assert!(head.contains("text/event-stream") && !head.contains("gzip"), "{head}");
        Events { stream, buffer: String::new() }
    }

    /// None: the hub ended the stream.
    pub(crate) async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            if let Some((event, rest)) = self.buffer.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.buffer = rest;
                let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name));
                let Some(kind) = field("event: ") else { continue };
                return Some((kind.to_owned(), serde_json::from_str(field("data: ").unwrap()).unwrap()));
            }
            let chunk = tokio::time::timeout(PATIENCE, read_chunk(&mut self.stream)).await.expect("an event");
            self.buffer += std::str::from_utf8(&chunk.ok()??).unwrap();
        }
    }

    pub(crate) async fn until(&mut self, what: impl Fn(&str, &Value) -> bool) -> Value {
        let search = async {
            loop {
                let (kind, data) = self.next().await.expect("the stream goes on");
                if what(&kind, &data) {
                    return data;
                }
            }
        };
        tokio::time::timeout(PATIENCE, search).await.expect("what was waited for")
    }
}

/// The client's half of a WebSocket (RFC 6455), as far as these tests need it.
pub(crate) struct Socket(pub(crate) BufReader<TcpStream>);

impl Socket {
    /// Err: the status of the refusal.
    pub(crate) async fn open(hub: &Hub, browser: &Browser, extra: &[(&str, &str)]) -> Result<Socket, u16> {
        let mut extra = extra.to_vec();
        extra.extend([
            ("connection", "Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA=="),
        ]);
        let request = browser.head(hub, "GET", "/api/v1/units/nicu/waves", &extra, None);
        let mut stream = BufReader::new(TcpStream::connect(hub.at).await.unwrap());
        stream.get_mut().write_all(request.as_bytes()).await.unwrap();
        let (status, _) = tokio::time::timeout(PATIENCE, read_head(&mut stream)).await.unwrap().unwrap();
        if status == 101 { Ok(Socket(stream)) } else { Err(status) }
    }

    pub(crate) async fn subscribe(&mut self, beds: &[&str]) {
        let text = json!({ "beds": beds }).to_string();
        let mut frame = vec![0x81, 0x80 | u8::try_from(text.len()).unwrap(), 0, 0, 0, 0];
        frame.extend(text.as_bytes());
        self.0.get_mut().write_all(&frame).await.unwrap();
    }

    /// None: closed.
    pub(crate) async fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let read = async {
            let mut head = [0u8; 2];
            self.0.read_exact(&mut head).await.ok()?;
            let length = match head[1] & 0x7f {
                126 => u64::from(self.0.read_u16().await.ok()?),
                127 => self.0.read_u64().await.ok()?,
                short => u64::from(short),
            };
            let mut payload = vec![0; usize::try_from(length).unwrap()];
            self.0.read_exact(&mut payload).await.ok()?;
            Some((head[0] & 0x0f, payload))
        };
        tokio::time::timeout(PATIENCE, read).await.expect("a frame")
    }

    pub(crate) async fn next_text(&mut self) -> Value {
        let (kind, payload) = self.frame().await.unwrap();
        assert_eq!(kind, 1);
        serde_json::from_slice(&payload).unwrap()
    }

    pub(crate) async fn next_binary(&mut self) -> Vec<u8> {
        let (kind, payload) = self.frame().await.unwrap();
        assert_eq!(kind, 2);
        payload
    }
}

/// (channel, begin, samples) of each chunk.
pub(crate) fn decode(mut frame: &[u8]) -> Vec<(u64, f64, Vec<i32>)> {
    let mut chunks = Vec::new();
    while let Some((head, rest)) = frame.split_at_checked(16) {
        assert_eq!(head[..2], [1, 0]);
        let count = u32::from_le_bytes(head[4..8].try_into().unwrap()) as usize;
        let (samples, rest) = rest.split_at(4 * count);
        let samples =
            samples.chunks(4).map(|sample| i32::from_le_bytes(sample.try_into().unwrap())).collect();
        let id = u64::from(u16::from_le_bytes(head[2..4].try_into().unwrap()));
        chunks.push((id, f64::from_le_bytes(head[8..16].try_into().unwrap()), samples));
        frame = rest;
    }
    assert!(frame.is_empty());
    chunks
}

//! A station as a program: just enough HTTP/1.1 over loopback to log in, write, and follow the unit's events.

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::net::SocketAddr;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// No answer of the hub's is longer.
const BODY_BYTES_MAX: usize = 16 << 20;

/// A logged-in client of one hub.
#[derive(Clone, Debug)]
pub struct Station {
    hub: SocketAddr,
    cookie: String,
    csrf: String,
}

/// The hub's server-sent events, one at a time.
pub struct Events {
    stream: BufReader<TcpStream>,
    /// Bytes of body left in the current chunk.
    chunk: usize,
    line: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub name: String,
    pub data: Value,
}

impl Station {
    pub async fn log_in(hub: SocketAddr, username: &str, password: &str) -> Result<Self> {
        let mut station = Self { hub, cookie: String::new(), csrf: String::new() };
        let body = serde_json::json!({ "username": username, "password": password });
        let (status, head, answer) = station.request("POST", "/api/v1/session", Some(&body)).await?;
        ensure!(status == 200, "log-in was answered with {status}");
        let cookie = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("set-cookie")
                .then(|| value.trim().split(';').next().unwrap_or_default())
        });
        station.cookie = cookie.context("log-in without a cookie")?.to_owned();
        station.csrf = answer["data"]["csrf"].as_str().context("log-in without a csrf token")?.to_owned();
        Ok(station)
    }

    /// The `data` of a successful answer.
    pub async fn get(&self, path: &str) -> Result<Value> {
        let (status, _, mut answer) = self.request("GET", path, None).await?;
        ensure!(status == 200, "GET {path} was answered with {status}: {}", answer["error"]["message"]);
        Ok(answer["data"].take())
    }

    pub async fn put(&self, path: &str, body: &Value) -> Result<Value> {
        let (status, _, mut answer) = self.request("PUT", path, Some(body)).await?;
        ensure!((200..300).contains(&status), "PUT {path}: {status}: {}", answer["error"]["message"]);
        Ok(answer["data"].take())
    }

    /// Follows the unit's events from its snapshot on.
    pub async fn events(&self, unit: &str) -> Result<Events> {
        let mut stream = TcpStream::connect(self.hub).await.context("hub is not reachable")?;
        stream.set_nodelay(true)?;
        let request = self.head("GET", &format!("/api/v1/units/{unit}/events"), 0);
        stream.write_all(request.as_bytes()).await?;
        let mut stream = BufReader::new(stream);
        let head = read_head(&mut stream).await?;
        ensure!(status_of(&head)? == 200, "events: {}", head.lines().next().unwrap_or_default());
        Ok(Events { stream, chunk: 0, line: Vec::new() })
    }

    fn head(&self, method: &str, path: &str, length: usize) -> String {
        format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\ncookie: {}\r\nx-csrf-token: {}\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n",
            self.hub, self.cookie, self.csrf
        )
    }

    async fn request(&self, method: &str, path: &str, body: Option<&Value>) -> Result<(u16, String, Value)> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let mut stream = TcpStream::connect(self.hub).await.context("hub is not reachable")?;
        stream.write_all(self.head(method, path, body.len()).as_bytes()).await?;
        stream.write_all(body.as_bytes()).await?;
        let mut stream = BufReader::new(stream);
        let head = read_head(&mut stream).await?;
        let length = head
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .and_then(|(_, value)| value.trim().parse::<usize>().ok())
            .unwrap_or(0);
        ensure!(length <= BODY_BYTES_MAX, "an answer of {length} bytes");
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        let answer = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body)? };
        Ok((status_of(&head)?, head, answer))
    }
}

impl Events {
    /// The next event; an error when the hub closed the stream.
    pub async fn next(&mut self) -> Result<Event> {
        let (mut name, mut data) = (String::new(), String::new());
        loop {
            let line = self.read_line().await?;
            if let Some(text) = line.strip_prefix("event:") {
                name = text.trim().to_owned();
            } else if let Some(text) = line.strip_prefix("data:") {
                data.push_str(text.trim_start());
            } else if line.is_empty() && !name.is_empty() {
                return Ok(Event { name, data: serde_json::from_str(&data)? });
            }
        }
    }

    /// One line of the body, without its end, across chunk borders.
    async fn read_line(&mut self) -> Result<String> {
        self.line.clear();
        loop {
            if self.chunk == 0 {
                let mut size = String::new();
                self.stream.read_line(&mut size).await?;
                if size.trim().is_empty() && !size.is_empty() {
                    continue;
                }
                self.chunk = usize::from_str_radix(size.trim(), 16).context("the hub ended the stream")?;
                if self.chunk == 0 {
                    bail!("the hub ended the stream");
                }
            }
            let held = self.stream.fill_buf().await?;
            ensure!(!held.is_empty(), "the hub closed the connection");
            let held = &held[..held.len().min(self.chunk)];
            let end = held.iter().position(|byte| *byte == b'\n');
            let taken = end.map_or(held.len(), |end| end + 1);
            self.line.extend_from_slice(&held[..taken]);
            self.stream.consume(taken);
            self.chunk -= taken;
            if end.is_some() {
                return Ok(String::from_utf8_lossy(&self.line).trim_end().to_owned());
            }
        }
    }
}

async fn read_head(stream: &mut BufReader<TcpStream>) -> Result<String> {
    let mut head = String::new();
    loop {
        let mut line = String::new();
        ensure!(stream.read_line(&mut line).await? > 0, "the hub closed the connection");
        if line == "\r\n" {
            return Ok(head);
        }
        head.push_str(&line);
    }
}

fn status_of(head: &str) -> Result<u16> {
    head.split_whitespace().nth(1).and_then(|status| status.parse().ok()).context("not an HTTP answer")
}

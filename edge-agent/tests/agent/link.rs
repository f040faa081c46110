//! One link on a real port: a pseudo terminal, TCP sockets, UDP sockets.

use super::Place;
use super::toy::TOY;
use cotside_config::agent::{Line, Link, Place as Cable};
use cotside_edge_agent::link::run::{Wires, identity_file, run};
use cotside_edge_agent::link::tap::Tap;
use cotside_edge_agent::row::{Heard, News};
use cotside_protocol::device::{Parity, Settings};
use cotside_protocol::model::{Event, StoreToken};
use cotside_protocol::wire::upstream::{LinkState, LinkStatus};
use cotside_systemd::clock::Clock;
use cotside_systemd::stages::Stages;
use serialport::{SerialPort, TTYPort};
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};
use tokio::sync::{Mutex, mpsc};

/// Longer than any wait in here should take on a busy machine; a test that needs it fails.
const PATIENCE: Duration = Duration::from_secs(10);

struct Bench {
    stages: Stages,
    heard: mpsc::Receiver<Heard>,
    stored: mpsc::Sender<StoreToken>,
    tap: Tap,
    place: Place,
}

impl Bench {
    fn start(cable: Cable) -> Self {
        Self::with(cable, None, &[], Place::new())
    }

    fn with(cable: Cable, serial: Option<&str>, allow: &[&str], place: Place) -> Self {
        let link = Link {
            name: "toy".into(),
            driver: &TOY,
            place: cable,
            allow: allow.iter().map(|address| address.parse().unwrap()).collect(),
            serial: serial.map(str::to_owned),
            settings: Settings::default(),
        };
        let (hear, heard) = mpsc::channel(1_000);
        let (stored, tokens) = mpsc::channel(8);
        let tap = Tap::default();
        let wires = Wires {
            clock: Clock::start(),
            heard: hear,
            stored: Arc::new(Mutex::new(tokens)),
            tap: tap.clone(),
            identity: identity_file(place.path(), "toy"),
            seed: 1,
        };
        let mut stages = Stages::new();
        stages.start("link", PATIENCE, |stop| run(0, Arc::new(link), wires, stop));
        Self { stages, heard, stored, tap, place }
    }

    async fn next(&mut self) -> News {
        tokio::time::timeout(PATIENCE, self.heard.recv()).await.expect("the link said nothing").unwrap().what
    }

    async fn until_state(&mut self, state: LinkState) -> LinkStatus {
        loop {
            if let News::State(status) = self.next().await
                && status.state == state
            {
                return status;
            }
        }
    }

    async fn next_event(&mut self) -> Event {
        loop {
            if let News::Event(event) = self.next().await {
                return event;
            }
        }
    }

    async fn next_hr(&mut self) -> String {
        loop {
            if let Event::Numeric(numeric) = self.next_event().await {
                return numeric.value.unwrap().to_string();
            }
        }
    }

    async fn next_checkpoint(&mut self) -> StoreToken {
        loop {
            if let Event::Checkpoint(token) = self.next_event().await {
                return token;
            }
        }
    }

    async fn stop(self) {
        assert!(self.stages.stop().await, "the link did not stop cleanly");
    }
}

/// The device's end, and the cable to ours. The slave stays openable by its path for as long as the device's end lives.
fn pty() -> (TTYPort, Cable) {
    let (device, ours) = TTYPort::pair().unwrap();
    let path = ours.name().unwrap().into();
    (device, Cable::Serial { path, line: Line { baud: 9600, bits: 8, parity: Parity::None, stop: 1 } })
}

async fn read_line(stream: &mut TcpStream) -> String {
    let mut line = Vec::new();
    while line.last() != Some(&b'\n') {
        let mut byte = [0];
        tokio::time::timeout(PATIENCE, stream.read_exact(&mut byte)).await.unwrap().unwrap();
        line.push(byte[0]);
    }
    String::from_utf8(line).unwrap()
}

#[tokio::test]
async fn a_serial_device_is_heard_asked_tapped_and_missed_when_it_is_unplugged() {
    let (mut device, cable) = pty();
    let mut bench = Bench::start(cable);
    bench.until_state(LinkState::Connecting).await;
    let mut tapped = bench.tap.listen();
    device.write_all(b"HR 120\nHR ").unwrap();
    assert_eq!(bench.next_hr().await, "120");
    device.write_all(b"121\nSTORE 4\n").unwrap();
    assert_eq!(bench.next_hr().await, "121");
    let token = bench.next_checkpoint().await;
    bench.stored.send(token).await.unwrap();
    let mut answer = [0; 5];
    let answered = tokio::task::spawn_blocking(move || {
        device.set_timeout(PATIENCE).unwrap();
        device.read_exact(&mut answer).unwrap();
        (device, answer)
    });
    let (device, answer) = answered.await.unwrap();
    assert_eq!(&answer, b"OK 4\n");
    assert_eq!(tapped.recv().await.unwrap().record.bytes, b"HR 120\nHR ");
    drop(device);
    let down = bench.until_state(LinkState::Down).await;
    assert!(down.detail.starts_with("cable unplugged?"), "{}", down.detail);
    bench.stop().await;
}

#[tokio::test]
async fn a_port_that_does_not_exist_is_said_and_tried_again() {
    let place = Place::new();
    let path = place.path().join("ttyUSB0");
    let line = Line { baud: 9600, bits: 8, parity: Parity::None, stop: 1 };
    let mut bench = Bench::start(Cable::Serial { path: path.clone(), line });
    let down = bench.until_state(LinkState::Down).await;
    assert!(
        down.detail.starts_with("cable unplugged?") && down.detail.ends_with("does not exist"),
        "{}",
        down.detail
    );
    let (mut device, Cable::Serial { path: real, .. }) = pty() else { panic!() };
    std::os::unix::fs::symlink(real, &path).unwrap();
    bench.until_state(LinkState::Connecting).await;
    device.write_all(b"HR 99\n").unwrap();
    assert_eq!(bench.next_hr().await, "99");
    bench.stop().await;
}

#[tokio::test]
async fn silence_and_noise_are_told_apart() {
    let (mut device, cable) = pty();
    let mut bench = Bench::start(cable);
    let silent = bench.until_state(LinkState::Silent).await;
    assert!(silent.detail.contains("Not a byte"), "{}", silent.detail);
    device.write_all(b"HR 120\n").unwrap();
    bench.until_state(LinkState::Live).await;
    let silent = bench.until_state(LinkState::Silent).await;
    assert!(silent.detail.contains("Nothing heard for 400ms"), "{}", silent.detail);
    bench.stop().await;

    let (mut device, cable) = pty();
    let mut bench = Bench::start(cable);
    bench.until_state(LinkState::Connecting).await;
    device.write_all(b"\x80\x80\xff\n").unwrap();
    let noise = bench.until_state(LinkState::Silent).await;
    assert!(noise.detail.starts_with("wrong baud rate or driver?"), "{}", noise.detail);
    assert_eq!(noise.malformed_bytes, 4);
    bench.stop().await;
}

#[tokio::test]
async fn h2_another_device_on_the_same_cable_is_wrong_and_nothing_of_it_is_told() {
    let (mut device, cable) = pty();
    let mut bench = Bench::start(cable);
    bench.until_state(LinkState::Connecting).await;
    device.write_all(b"ID 5\nHR 120\n").unwrap();
    assert_eq!(bench.next_hr().await, "120");
    let place = std::mem::replace(&mut bench.place, Place::new());
    bench.stop().await;

    let (mut device, cable) = pty();
    let mut bench = Bench::with(cable, None, &[], place);
    bench.until_state(LinkState::Connecting).await;
    device.write_all(b"HR 50\nID 7\nHR 51\n").unwrap();
    let wrong = bench.until_state(LinkState::WrongDevice).await;
    assert_eq!((wrong.detail.as_str(), wrong.serial.as_str()), ("it is 7, 5 is expected", "7"));
    device.write_all(b"HR 52\nID 5\nHR 53\n").unwrap();
    assert_eq!(bench.next_hr().await, "53");
    bench.stop().await;
}

#[tokio::test]
async fn a_drivers_panic_is_told_and_the_link_starts_again() {
    let (mut device, cable) = pty();
    let mut bench = Bench::start(cable);
    bench.until_state(LinkState::Connecting).await;
    device.write_all(b"HR 1\nPANIC\n").unwrap();
    let down = bench.until_state(LinkState::Down).await;
    assert!(down.detail.contains("a defect"), "{}", down.detail);
    bench.until_state(LinkState::Connecting).await;
    device.write_all(b"HR 2\n").unwrap();
    assert_eq!(bench.next_hr().await, "2");
    bench.stop().await;
}

fn free_address() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

async fn call(from: &str, to: SocketAddr) -> TcpStream {
    loop {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(from.parse().unwrap(), 0)).unwrap();
        match socket.connect(to).await {
            Ok(stream) => return stream,
            // The link is still opening its door.
            Err(_) => tokio::task::yield_now().await,
        }
    }
}

#[tokio::test]
async fn s8_a_second_sender_is_refused_and_the_first_goes_on() {
    let address = free_address();
    let mut bench = Bench::start(Cable::TcpListen(address));
    let mut device = call("127.0.0.1", address).await;
    device.write_all(b"HR 120\n").await.unwrap();
    assert_eq!(bench.next_hr().await, "120");
    let mut stranger = call("127.0.0.2", address).await;
    let _ = stranger.write_all(b"HR 30\n").await;
    let refused = loop {
        if let News::Refused(from) = bench.next().await {
            break from;
        }
    };
    assert_eq!(refused, "127.0.0.2".parse::<IpAddr>().unwrap());
    device.write_all(b"HR 121\n").await.unwrap();
    assert_eq!(bench.next_hr().await, "121");
    let mut nothing = [0];
    assert!(!matches!(stranger.read(&mut nothing).await, Ok(1..)), "the stranger's connection is closed");
    bench.stop().await;
    assert_eq!(read_line(&mut device).await, "CLOSING\n", "the device is told goodbye");
}

#[tokio::test]
async fn s8_only_the_allowed_address_is_let_in() {
    let address = free_address();
    let mut bench = Bench::with(Cable::TcpListen(address), None, &["127.0.0.3"], Place::new());
    let _stranger = call("127.0.0.2", address).await;
    loop {
        if let News::Refused(from) = bench.next().await {
            assert_eq!(from, "127.0.0.2".parse::<IpAddr>().unwrap());
            break;
        }
    }
    let mut device = call("127.0.0.3", address).await;
    device.write_all(b"HR 120\n").await.unwrap();
    assert_eq!(bench.next_hr().await, "120");
    bench.stop().await;
}

#[tokio::test]
async fn a_device_that_restarts_and_calls_again_is_let_in() {
    let address = free_address();
    let mut bench = Bench::start(Cable::TcpListen(address));
    let mut before = call("127.0.0.1", address).await;
    before.write_all(b"HR 1\nHR").await.unwrap();
    assert_eq!(bench.next_hr().await, "1");
    let mut after = call("127.0.0.1", address).await;
    after.write_all(b"HR 2\n").await.unwrap();
    assert_eq!(bench.next_hr().await, "2");
    bench.stop().await;
}

#[tokio::test]
async fn we_call_a_device_and_call_again_when_it_hangs_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut bench = Bench::start(Cable::TcpConnect(listener.local_addr().unwrap().to_string()));
    let (mut device, _) = listener.accept().await.unwrap();
    device.write_all(b"HR 1\n").await.unwrap();
    assert_eq!(bench.next_hr().await, "1");
    device.write_all(b"BYE\n").await.unwrap();
    let down = bench.until_state(LinkState::Down).await;
    assert_eq!(down.detail, "the device ended the conversation");
    let (mut device, _) = tokio::time::timeout(PATIENCE, listener.accept()).await.unwrap().unwrap();
    device.write_all(b"HR 2\n").await.unwrap();
    assert_eq!(bench.next_hr().await, "2");
    bench.stop().await;
}

#[tokio::test]
async fn what_is_stored_of_an_earlier_conversation_acknowledges_nothing_in_this_one() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut bench = Bench::start(Cable::TcpConnect(listener.local_addr().unwrap().to_string()));
    let (mut device, _) = listener.accept().await.unwrap();
    device.write_all(b"STORE 1\nBYE\n").await.unwrap();
    let late = bench.next_checkpoint().await;
    let (mut device, _) = tokio::time::timeout(PATIENCE, listener.accept()).await.unwrap().unwrap();
    device.write_all(b"STORE 1\nSTORE 2\n").await.unwrap();
    bench.next_checkpoint().await;
    let second = bench.next_checkpoint().await;
    bench.stored.send(late).await.unwrap();
    bench.stored.send(second).await.unwrap();
    assert_eq!(read_line(&mut device).await, "OK 2\n");
    bench.stop().await;
}

#[tokio::test]
async fn a_session_hands_its_keepsake_to_the_next_even_if_the_disk_was_slower_than_the_device() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut bench = Bench::start(Cable::TcpConnect(listener.local_addr().unwrap().to_string()));
    let (mut device, _) = listener.accept().await.unwrap();
    device.write_all(b"STORE 7\nBYE\n").await.unwrap();
    let token = bench.next_checkpoint().await;
    bench.until_state(LinkState::Down).await;
    bench.stored.send(token).await.unwrap();
    for _ in 0..2 {
        let (mut device, _) = tokio::time::timeout(PATIENCE, listener.accept()).await.unwrap().unwrap();
        assert_eq!(read_line(&mut device).await, "KEPT 7\n");
        device.write_all(b"BYE\n").await.unwrap();
        bench.until_state(LinkState::Down).await;
    }
    bench.stop().await;
}

#[tokio::test]
async fn datagrams_are_taken_from_the_device_only() {
    let device = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let announce = std::net::UdpSocket::bind("0.0.0.0:0").unwrap().local_addr().unwrap().port();
    let address = Some(device.local_addr().unwrap());
    let mut bench = Bench::start(Cable::Udp { device: address, announce: Some(announce), group: None });
    bench.until_state(LinkState::Connecting).await;
    // The agent has said nothing yet, so the device cannot know its port: an announced checkpoint makes the toy speak.
    device.send_to(b"STORE 1\n", ("127.0.0.1", announce)).await.unwrap();
    let token = bench.next_checkpoint().await;
    bench.stored.send(token).await.unwrap();
    let mut buffer = [0; 64];
    let (_, agent) = tokio::time::timeout(PATIENCE, device.recv_from(&mut buffer)).await.unwrap().unwrap();
    let to = SocketAddr::new("127.0.0.1".parse().unwrap(), agent.port());
    let stranger = UdpSocket::bind("127.0.0.2:0").await.unwrap();
    stranger.send_to(b"HR 30\n", to).await.unwrap();
    for value in 0..20 {
        device.send_to(format!("HR {value}\n").as_bytes(), to).await.unwrap();
    }
    let mut refused = false;
    let mut values = Vec::new();
    while values.len() < 20 {
        match bench.next().await {
            News::Refused(from) => refused |= from == "127.0.0.2".parse::<IpAddr>().unwrap(),
            News::Event(Event::Numeric(numeric)) => values.push(numeric.value.unwrap().mantissa),
            News::Event(_) | News::State(_) | News::Opened => {}
        }
    }
    assert!(refused);
    assert_eq!(values, (0..20).collect::<Vec<_>>());
    bench.stop().await;
}

//! The lines of a GPIO chip, by the kernel's character device: what a sounder and a button need of them, and nothing else.

use anyhow::{Context, Result};
use cotside_config::agent::Gpio;
use gpiocdev::Request;
use gpiocdev::line::{Bias, EdgeDetection, EdgeKind, Value};
use std::io;
use std::os::fd::{AsRawFd, RawFd};

/// A buzzer that can be on or off.
pub(super) trait Sounder: Send {
    fn set(&mut self, is_on: bool) -> Result<()>;
}

/// A button whose line can be waited for.
pub(super) struct Pushed(Request);

struct Line(Request);

impl Sounder for Line {
    fn set(&mut self, is_on: bool) -> Result<()> {
        let value = if is_on { Value::Active } else { Value::Inactive };
        self.0.set_lone_value(value).context("the sounder's line cannot be set")
    }
}

impl Pushed {
    /// One change of the line: true if it is down now.
    pub(super) fn read(&self) -> io::Result<bool> {
        let event = self.0.read_edge_event().map_err(io::Error::other)?;
        Ok(event.kind == EdgeKind::Rising)
    }

    pub(super) fn has_more(&self) -> bool {
        self.0.has_edge_event().unwrap_or(false)
    }
}

impl AsRawFd for Pushed {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// The line of the sounder, off.
pub(super) fn sounder(gpio: &Gpio, line: u32) -> Result<Box<dyn Sounder>> {
    let request = Request::builder()
        .on_chip(&gpio.chip)
        .with_consumer("cotside sounder")
        .with_line(line)
        .as_output(Value::Inactive)
        .request()
        .with_context(|| format!("line {line} of {} cannot be had", gpio.chip.display()))?;
    Ok(Box::new(Line(request)))
}

pub(super) fn button(gpio: &Gpio, line: u32) -> Result<Pushed> {
    let mut builder = Request::builder();
    builder.on_chip(&gpio.chip).with_consumer("cotside button").with_line(line).as_input();
    if gpio.is_pressed_low {
        builder.with_bias(Bias::PullUp).as_active_low();
    } else {
        builder.with_bias(Bias::PullDown);
    }
    let request = builder
        .with_edge_detection(EdgeDetection::BothEdges)
        .request()
        .with_context(|| format!("line {line} of {} cannot be had", gpio.chip.display()))?;
    Ok(Pushed(request))
}

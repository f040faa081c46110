//! Text from outside, made harmless; and private values, made unprintable.

use std::fmt;

/// Text that a device or HL7 peer sent: no control or direction characters, at most 64 characters.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct DeviceText(Box<str>);

impl DeviceText {
    pub const LENGTH_MAX: usize = 64;

    pub fn new(raw: &str) -> Self {
        let kept: String = raw.chars().filter(|c| is_harmless(*c)).take(Self::LENGTH_MAX).collect();
        Self(kept.trim().into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Neither a control, nor one of Unicode's invisible or direction-changing characters.
fn is_harmless(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

impl fmt::Debug for DeviceText {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, out)
    }
}

impl fmt::Display for DeviceText {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl From<&str> for DeviceText {
    fn from(raw: &str) -> Self {
        Self::new(raw)
    }
}

/// A value that identifies a person. Its Debug prints dots, so it cannot slip into a log, a metric or an error text.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Private<T>(T);

impl<T> Private<T> {
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The one way to the value: search for this word to see every place where personal data is used.
    pub const fn reveal(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Private<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("···")
    }
}

#[cfg(test)]
mod tests {
    use super::{DeviceText, Private};

    #[test]
    fn hostile_text_loses_its_teeth() {
        assert_eq!(DeviceText::new("\u{1b}[31mBED\u{202e} 1\r\n").as_str(), "[31mBED 1");
        assert_eq!(DeviceText::new(&"x".repeat(1000)).as_str().len(), 64);
    }

    #[test]
    fn a_private_value_prints_as_dots() {
        assert_eq!(format!("{:?}", Private::new("Okafor")), "···");
    }
}

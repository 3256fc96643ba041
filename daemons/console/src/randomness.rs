//! Secrets of this process, from the kernel alone.

use crate::error::Error;
use std::fmt::Write;

/// 256 random bits as 64 hexadecimal digits.
///
/// # Errors
/// [`Error::Random`].
pub fn secret() -> Result<String, Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(Error::Random)?;
    Ok(hexadecimal(&bytes))
}

/// Lower-case hexadecimal digits.
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a String cannot fail.
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

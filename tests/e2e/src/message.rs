//! SIP messages as the peers of these tests write and read them. It shares no code with the house: what both got
//! wrong in the same way would otherwise pass.

/// One message that came.
#[derive(Clone, Debug)]
pub struct Message {
    /// The method of a request, `SIP/2.0` of a response.
    pub method: String,
    /// The status of a response, nothing of a request.
    pub status: Option<u16>,
    headers: Vec<(String, String)>,
    /// The body, most often a session description.
    pub body: String,
}

impl Message {
    /// Reads a datagram; nothing where it is no SIP (the house keeps address translations open with line ends).
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n")?;
        let mut lines = head.split("\r\n");
        let start = lines.next()?;
        let (method, rest) = start.split_once(' ')?;
        let status = if method == "SIP/2.0" { Some(rest.get(..3)?.parse().ok()?) } else { None };
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
            .collect();
        Some(Self { method: method.to_owned(), status, headers, body: body.to_owned() })
    }

    /// The first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// Every header of that name, as lines.
    pub fn lines(&self, name: &str) -> String {
        let all = self.headers.iter().filter(|(found, _)| found.eq_ignore_ascii_case(name));
        all.map(|(name, value)| format!("{name}: {value}\r\n")).collect()
    }

    /// The method that CSeq names.
    pub fn of(&self) -> &str {
        self.header("CSeq").and_then(|value| value.split(' ').nth(1)).unwrap_or("")
    }

    /// The number of CSeq.
    pub fn number(&self) -> u32 {
        self.header("CSeq").and_then(|value| value.split(' ').next()?.parse().ok()).unwrap_or(0)
    }

    /// The address within Contact.
    pub fn contact(&self) -> Option<&str> {
        let value = self.header("Contact")?;
        Some(value.split_once('<').map_or(value, |(_, rest)| rest.split('>').next().unwrap_or(rest)))
    }
}

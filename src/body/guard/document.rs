//! The outline of a JSON document that passes: the brackets that are open.

/// One JSON document.
#[derive(Debug)]
pub(super) struct DocumentOutline {
    /// The first character and the last one so far, blanks aside.
    ends: Option<(u8, u8)>,
    /// `None`: some of it was held back, where it is parsed. The ends tell it from most cuts then.
    nesting: Option<Nesting>,
}

/// The brackets that are open.
#[derive(Debug, Default)]
struct Nesting {
    depth: usize,
    is_string: bool,
    is_escaped: bool,
}

// === impl DocumentOutline ===

impl DocumentOutline {
    /// Sees data. `is_held`: they are held back, and parsed when they are whole.
    pub(super) fn see(&mut self, data: &[u8], is_held: bool) {
        if let [first, .., last] | [first @ last] = data.trim_ascii() {
            self.ends = Some((self.ends.map_or(*first, |(first, _)| first), *last));
        }
        if is_held {
            self.nesting = None;
        }
        if let Some(nesting) = &mut self.nesting {
            nesting.see(data);
        }
    }

    /// Returns whether the closing bracket is missing.
    pub(super) fn is_cut(&self) -> bool {
        match (self.ends, &self.nesting) {
            (Some((b'[' | b'{', _)), Some(nesting)) => nesting.depth > 0,
            (Some((b'[', last)), None) => last != b']',
            (Some((b'{', last)), None) => last != b'}',
            _ => false,
        }
    }
}

impl Default for DocumentOutline {
    fn default() -> Self {
        Self { ends: None, nesting: Some(Nesting::default()) }
    }
}

// === impl Nesting ===

impl Nesting {
    fn see(&mut self, mut data: &[u8]) {
        if std::mem::take(&mut self.is_escaped) {
            data = data.get(1..).unwrap_or_default();
        }
        while !data.is_empty() {
            data = if self.is_string { self.pass_string(data) } else { self.count(data) };
        }
    }

    /// Passes a string up to its end or an escape. Returns the data behind it.
    fn pass_string<'a>(&mut self, data: &'a [u8]) -> &'a [u8] {
        // Most of a document is in strings.
        let Some(at) = memchr::memchr2(b'"', b'\\', data) else { return &[] };
        if data[at] == b'"' {
            self.is_string = false;
            return &data[at + 1..];
        }
        self.is_escaped = at + 1 == data.len();
        data.get(at + 2..).unwrap_or_default()
    }

    /// Counts brackets up to the next string. Returns the data behind its quotation mark.
    fn count<'a>(&mut self, data: &'a [u8]) -> &'a [u8] {
        for (at, byte) in data.iter().enumerate() {
            match byte {
                b'"' => {
                    self.is_string = true;
                    return &data[at + 1..];
                }
                b'[' | b'{' => self.depth += 1,
                b']' | b'}' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
        &[]
    }
}

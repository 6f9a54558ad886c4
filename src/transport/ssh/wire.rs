//! Keys and certificates as SSH writes them: strings with a length before them.

/// Reads from the front.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    pub(super) fn number(&mut self) -> Option<u32> {
        let (first, rest) = self.0.split_first_chunk::<4>()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*first))
    }

    pub(super) fn text(&mut self) -> Option<&'a [u8]> {
        let length = self.number()? as usize;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(text)
    }
}

/// Writes a string.
pub(super) fn put(out: &mut Vec<u8>, text: &[u8]) {
    // Nothing that is written here is near 4 GiB.
    out.extend_from_slice(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(text);
}

/// The type that a key or a certificate begins with.
pub(super) fn kind_of(blob: &[u8]) -> Option<&str> {
    std::str::from_utf8(Reader(blob).text()?).ok()
}

/// Whether it is a certificate.
pub(super) fn is_certificate(blob: &[u8]) -> bool {
    kind_of(blob).is_some_and(|kind| kind.ends_with("-cert-v01@openssh.com"))
}

/// The key that a certificate is for; a key itself as it is.
pub(super) fn public_half(blob: &[u8]) -> Option<Vec<u8>> {
    if !is_certificate(blob) {
        return Some(blob.to_vec());
    }
    let (kind, parts) = match kind_of(blob)? {
        "ssh-ed25519-cert-v01@openssh.com" => ("ssh-ed25519", 1),
        "ssh-rsa-cert-v01@openssh.com" => ("ssh-rsa", 2),
        "ecdsa-sha2-nistp256-cert-v01@openssh.com" => ("ecdsa-sha2-nistp256", 2),
        "ecdsa-sha2-nistp384-cert-v01@openssh.com" => ("ecdsa-sha2-nistp384", 2),
        "ecdsa-sha2-nistp521-cert-v01@openssh.com" => ("ecdsa-sha2-nistp521", 2),
        "sk-ssh-ed25519-cert-v01@openssh.com" => ("sk-ssh-ed25519@openssh.com", 2),
        "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com" => ("sk-ecdsa-sha2-nistp256@openssh.com", 3),
        _ => return None,
    };
    let mut reader = Reader(blob);
    reader.text()?; // its type
    reader.text()?; // chance
    let mut key = Vec::new();
    put(&mut key, kind.as_bytes());
    for _ in 0..parts {
        put(&mut key, reader.text()?);
    }
    Some(key)
}

//! The tar layer: entries one after the other, each with what its extension headers say about it.

use crate::error::{Exceeded, Malformed, Unsafe};
use crate::expand::Expanded;
use crate::header::{BLOCK, Header, padding};
use crate::pax::Pax;
use crate::shown::shown;
use crate::{Limits, UnpackError};

/// A strict tar reader. What two readers could understand differently is an error, never a choice.
pub(crate) struct Tar<'l> {
    stream: Expanded<'l>,
    limits: &'l Limits,
    entries: u64,
    /// The name of the current entry, for messages.
    current: Vec<u8>,
    /// Bytes of the current entry that were not read.
    payload: u64,
    /// Bytes after them, up to the next block.
    padding: u64,
}

/// An entry as the archive has it: nothing about its names is checked.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) name: Vec<u8>,
    pub(crate) kind: EntryKind,
}

#[derive(Debug)]
pub(crate) enum EntryKind {
    File { executable: bool, len: u64 },
    Directory,
    Symlink { target: Vec<u8> },
    HardLink { target: Vec<u8> },
}

impl<'l> Tar<'l> {
    /// `entries` is how many there were in the layers before.
    pub(crate) const fn new(stream: Expanded<'l>, entries: u64, limits: &'l Limits) -> Self {
        Self { stream, limits, entries, current: Vec::new(), payload: 0, padding: 0 }
    }

    /// Entries so far, those of the layers before included.
    pub(crate) const fn entries(&self) -> u64 {
        self.entries
    }

    /// Bytes of the stream so far.
    pub(crate) const fn out(&self) -> u64 {
        self.stream.out()
    }

    /// The next entry; `None` after the last one, once all that follows it was read and found in order. The name of the
    /// one before is written over.
    pub(crate) fn next(&mut self, before: Vec<u8>) -> Result<Option<Entry>, UnpackError> {
        self.step(before).map_err(|error| error.with_entry(&self.current))
    }

    /// The next bytes of the current file; none mean its end.
    pub(crate) fn piece(&mut self) -> Result<&[u8], UnpackError> {
        let wanted = self.payload;
        let current = &self.current;
        let piece = self.stream.piece(wanted).map_err(|error| error.with_entry(current))?;
        if piece.is_empty() && wanted > 0 {
            return Err(UnpackError::from(Malformed::Truncated).with_entry(current));
        }
        self.payload -= piece.len() as u64;
        Ok(piece)
    }

    fn step(&mut self, buffer: Vec<u8>) -> Result<Option<Entry>, UnpackError> {
        let rest = self.payload + self.padding;
        if self.stream.skip(rest)? < rest {
            return Err(Malformed::Truncated.into());
        }
        (self.payload, self.padding) = (0, 0);

        let mut extensions = Extensions::default();
        let mut in_a_row = 0;
        loop {
            let Some(block) = self.block()? else { return Err(Malformed::NoEnd.into()) };
            if block == [0; BLOCK] {
                if in_a_row > 0 {
                    return Err(Malformed::Dangling.into());
                }
                return self.end().map(|()| None);
            }
            let header = Header::parse(&block)?;
            if !matches!(header.flag(), b'x' | b'g' | b'L' | b'K') {
                return self.entry(&header, extensions, buffer).map(Some);
            }
            in_a_row += 1;
            if in_a_row > self.limits.extensions {
                return Err(Exceeded::Extensions { max: self.limits.extensions }.into());
            }
            let text = self.extension(&header)?;
            extensions.add(header.flag(), text)?;
        }
    }

    fn entry(&mut self, header: &Header<'_>, extensions: Extensions, buffer: Vec<u8>) -> Result<Entry, UnpackError> {
        self.entries += 1;
        if self.entries > self.limits.entries {
            return Err(Exceeded::Entries { max: self.limits.entries }.into());
        }
        let own = header.name(buffer);
        let own_is_folder = own.ends_with(b"/");
        let name = extensions.name.or(extensions.pax.path).unwrap_or(own);
        self.current.clone_from(&name);
        match header.flag() {
            b'S' => return Err(UnpackError::unsafe_entry(&name, Unsafe::Sparse)),
            flag if !header.is_known() => return Err(UnpackError::unsafe_entry(&name, Unsafe::Type { flag })),
            _ => {}
        }
        let (told, own) = (extensions.link.or(extensions.pax.link), header.link());
        if (told.is_some() || !own.is_empty()) && !matches!(header.flag(), b'1' | b'2') {
            return Err(Malformed::Target.into());
        }
        let target = told.unwrap_or(own);
        let len = match (header.size()?, extensions.pax.size) {
            (len, None) | (0, Some(len)) => len,
            (len, Some(pax)) if len == pax => len,
            _ => return Err(Malformed::SizeDisagrees.into()),
        };
        if extensions.pax.sparse {
            return Err(UnpackError::unsafe_entry(&name, Unsafe::Sparse));
        }
        let kind = match header.flag() {
            // Before ustar a trailing slash was the only mark of a folder. Readers disagree on which name must have it.
            0 if own_is_folder && name.ends_with(b"/") => EntryKind::Directory,
            0 if own_is_folder => return Err(UnpackError::unsafe_entry(&name, Unsafe::FileNamedAsFolder)),
            0 | b'0' | b'1' | b'2' if is_a_folders(&name) => {
                return Err(UnpackError::unsafe_entry(&name, Unsafe::FileNamedAsFolder));
            }
            b'1' => EntryKind::HardLink { target },
            b'2' => EntryKind::Symlink { target },
            b'5' => EntryKind::Directory,
            _ => EntryKind::File { executable: header.executable()?, len },
        };
        match kind {
            EntryKind::File { .. } => self.claim(&name, len)?,
            EntryKind::Directory | EntryKind::Symlink { .. } | EntryKind::HardLink { .. } if len == 0 => {}
            _ => return Err(Malformed::Payload.into()),
        }
        Ok(Entry { name, kind })
    }

    fn claim(&mut self, name: &[u8], len: u64) -> Result<(), UnpackError> {
        // A size that cannot be true is a lie, not a bomb.
        if len > self.stream.possible() {
            return Err(Malformed::Size.into());
        }
        if len > self.limits.file {
            return Err(Exceeded::File { entry: shown(name), len, max: self.limits.file }.into());
        }
        self.payload = len;
        self.padding = padding(len);
        Ok(())
    }

    fn extension(&mut self, header: &Header<'_>) -> Result<Vec<u8>, UnpackError> {
        let len = header.size()?;
        if len > self.limits.extension {
            return Err(Exceeded::Extension { max: self.limits.extension }.into());
        }
        if len > self.stream.possible() {
            return Err(Malformed::Size.into());
        }
        let mut text = vec![0; usize::try_from(len).map_err(|_| Malformed::Number)?];
        if self.stream.read(&mut text)? < text.len() || self.stream.skip(padding(len))? < padding(len) {
            return Err(Malformed::Truncated.into());
        }
        Ok(text)
    }

    fn block(&mut self) -> Result<Option<[u8; BLOCK]>, UnpackError> {
        let mut block = [0; BLOCK];
        match self.stream.read(&mut block)? {
            0 => Ok(None),
            BLOCK => Ok(Some(block)),
            _ => Err(Malformed::Truncated.into()),
        }
    }

    fn end(&mut self) -> Result<(), UnpackError> {
        match self.block()? {
            None => Err(Malformed::NoEnd.into()),
            Some(block) if block == [0; BLOCK] => self.stream.only_zeros_left(),
            Some(_) => Err(Malformed::AfterEnd.into()),
        }
    }
}

/// What the headers before an entry say about it. The entry's own header then holds a cut or made-up name, which
/// differs from writer to writer and is not looked at.
#[derive(Debug, Default, PartialEq, Eq)]
struct Extensions {
    pax: Pax,
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    local: bool,
}

impl Extensions {
    fn add(&mut self, flag: u8, text: Vec<u8>) -> Result<(), UnpackError> {
        let gnu = self.name.is_some() || self.link.is_some();
        match flag {
            // Readers disagree on which header a PAX one binds to when others stand between it and the entry.
            b'g' if self.local || gnu => return Err(Malformed::Extensions.into()),
            b'g' if !Pax::parse(&text)?.is_empty() => return Err(Malformed::PaxGlobal.into()),
            b'g' => {}
            _ if self.local => return Err(Malformed::Extensions.into()),
            b'x' if gnu => return Err(Malformed::Extensions.into()),
            b'x' => {
                self.pax = Pax::parse(&text)?;
                self.local = true;
            }
            _ => {
                let slot = if flag == b'L' { &mut self.name } else { &mut self.link };
                if slot.replace(unterminated(text)).is_some() {
                    return Err(Malformed::Extensions.into());
                }
            }
        }
        Ok(())
    }
}

/// Whether the system takes a name for that of a folder, whatever the header says.
pub(crate) fn is_a_folders(name: &[u8]) -> bool {
    name.ends_with(b"/") || name.ends_with(b"/.")
}

/// A GNU long name ends in a NUL; a NUL anywhere else stays and is refused as a control character.
fn unterminated(mut text: Vec<u8>) -> Vec<u8> {
    if text.last() == Some(&0) {
        text.pop();
    }
    text
}

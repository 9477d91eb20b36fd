//! Hints of segments that have been closed, written from what is in them, beside everything else.

use super::hint::HintWriter;
use crate::storage::file::File;
use crate::storage::gate::{Ground, Halt};
use crate::storage::home::{Home, ignore_missing};
use crate::storage::log::segment::{Piece, Scan, ScanStep};

/// The hint that a closed segment lacks: to be [written](Self::run) on a thread that may wait for the disk.
#[derive(Debug)]
pub struct HintTask {
    ground: Ground,
    piece: Piece,
}

impl HintTask {
    pub(in crate::storage) fn new(ground: Ground, piece: Piece) -> Self {
        Self { ground, piece }
    }

    /// Reads the segment and writes its hint, durably; in place of the one that is there, if any. Looks between
    /// records whether to `may_continue`.
    pub(in crate::storage) fn run(&self, may_continue: &dyn Fn() -> bool) -> Result<(), Halt> {
        let Ground { home, gate, era, .. } = &self.ground;
        let dir = home.log_dir(era.generation);
        let name = self.piece.segment.name.hint();
        let part = Home::part(&dir, &name);
        let file = {
            let _inside = gate.enter(*era)?;
            File::create(&*home.disk, &part)?
        };
        let mut writer = HintWriter::new(file, era.generation, self.piece.segment.name);
        match self.fill(&mut writer, may_continue) {
            Ok(()) => {}
            Err(Halt::Failed(error)) => return Err(Halt::Failed(error)),
            Err(halt) => {
                let _inside = gate.enter(*era)?;
                ignore_missing(home.remove(&part))?;
                return Err(halt);
            }
        }
        let _inside = gate.enter(*era)?;
        Ok(home.finish_part(&dir, &name)?)
    }

    fn fill(&self, writer: &mut HintWriter, may_continue: &dyn Fn() -> bool) -> Result<(), Halt> {
        let mut scan = Scan::new(self.piece.clone());
        loop {
            if !may_continue() {
                return Err(Halt::Stopped);
            }
            match scan.next()? {
                ScanStep::Record(_, record) => {
                    writer.add(record.at, record.kind, record.key, record.bytes())?;
                }
                ScanStep::End => return Ok(writer.finish(self.piece.bytes)?),
                ScanStep::Bad(offset, flaw) => {
                    return Err(Halt::Failed(self.piece.segment.file.corrupt(offset, flaw.to_string())));
                }
            }
        }
    }
}

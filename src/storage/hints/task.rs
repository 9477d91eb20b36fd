//! Hints of segments that have been closed, written from what is in them, beside everything else.

use super::hint::HintWriter;
use crate::storage::damages::{DAMAGES_MAX, damage};
use crate::storage::file::File;
use crate::storage::gate::{Ground, Halt};
use crate::storage::home::{Home, ignore_missing};
use crate::storage::log::segment::{Piece, Scan, ScanStep};
use crate::types::Damage;

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
    /// records whether to `may_continue`. Returns damaged values that it has met, at most [`DAMAGES_MAX`].
    pub(in crate::storage) fn run(&self, may_continue: &dyn Fn() -> bool) -> Result<Vec<Damage>, Halt> {
        let Ground { home, gate, era, .. } = &self.ground;
        let dir = home.log_dir(era.generation);
        let name = self.piece.segment.name.hint();
        let part = Home::part(&dir, &name);
        let file = {
            let _inside = gate.enter(*era)?;
            File::create(&*home.disk, &part)?
        };
        let mut writer = HintWriter::new(file, era.generation, self.piece.segment.name);
        let damaged = match self.fill(&mut writer, may_continue) {
            Ok(damaged) => damaged,
            Err(Halt::Failed(error)) => return Err(Halt::Failed(error)),
            Err(halt) => {
                let _inside = gate.enter(*era)?;
                ignore_missing(home.remove(&part))?;
                return Err(halt);
            }
        };
        let _inside = gate.enter(*era)?;
        home.finish_part(&dir, &name)?;
        Ok(damaged)
    }

    fn fill(&self, writer: &mut HintWriter, may_continue: &dyn Fn() -> bool) -> Result<Vec<Damage>, Halt> {
        let mut damaged = Vec::new();
        let mut scan = Scan::new(self.piece.clone());
        loop {
            if !may_continue() {
                return Err(Halt::Stopped);
            }
            match scan.next()? {
                ScanStep::Record(offset, record) => {
                    if record.value.is_none() && damaged.len() < DAMAGES_MAX {
                        damaged.push(damage(&self.piece, offset, record.at, record.key));
                    }
                    writer.add(record.at, record.kind, record.key, record.bytes())?;
                }
                ScanStep::End => {
                    writer.finish(self.piece.bytes)?;
                    return Ok(damaged);
                }
                ScanStep::Bad(offset, flaw) => {
                    return Err(Halt::Failed(self.piece.segment.file.corrupt(offset, flaw.to_string())));
                }
            }
        }
    }
}
